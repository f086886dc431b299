import { isDstackError } from "../errors/index.ts";

/**
 * Tells a person what went wrong and what to do next, without a stack trace where the fault is one we know.
 * Answers the exit code: the error family's, 130 after an interruption, 1 for what nobody foresaw.
 */
export function exitWith(error: unknown, stream: NodeJS.WritableStream): number {
  if (isDstackError(error)) {
    stream.write(`${error.code} ${error.message}\n`);
    if (error.nextStep !== undefined) stream.write(`${error.nextStep}\n`);
    return error.exitCode;
  }
  if (error instanceof Error && error.name === "AbortError") {
    stream.write(`${error.message}\n`);
    return 130;
  }
  // Hardhat's own errors, such as a missing configuration variable, say by themselves what to do.
  if (error instanceof Error && error.name === "HardhatError") {
    stream.write(`${error.message}\n`);
    return 1;
  }
  stream.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
