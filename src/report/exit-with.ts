import { printable } from "../core/text.ts";
import { isDstackError } from "../errors/index.ts";

/**
 * Tells a person what went wrong and what to do next, without a stack trace where the fault is one we know.
 * Answers the exit code: the error family's, 130 after an interruption, 1 for what nobody foresaw.
 */
export function exitWith(error: unknown, stream: NodeJS.WritableStream): number {
  const tell = (text: string) => stream.write(`${printable(text)}\n`);
  if (isDstackError(error)) {
    tell(oneLine(`${error.code} ${error.message}`));
    if (error.nextStep !== undefined) tell(oneLine(error.nextStep));
    return error.exitCode;
  }
  if (error instanceof Error && error.name === "AbortError") {
    tell(error.message);
    return 130;
  }
  // Hardhat's own errors, such as a missing configuration variable, say by themselves what to do.
  if (error instanceof Error && (error.name === "HardhatError" || isOfSystem(error))) {
    tell(error.message);
    return 1;
  }
  tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

/** A message is one sentence; a name it quotes must not look like a line of ours. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

/** A disk that is full, a folder that may not be written: "EACCES: permission denied, open '…'" says it all. */
function isOfSystem(error: Error): boolean {
  return "syscall" in error && "code" in error;
}
