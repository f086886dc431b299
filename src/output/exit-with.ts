import { printable } from "../core/text.ts";
import { isDstackError } from "../errors/index.ts";
import { widthOf, wrapText } from "./wrap.ts";

/**
 * Prints an error and the next step. Known errors are printed without a stack trace. Returns the exit code: that of the
 * error's family, 130 after an interruption, 1 for unexpected errors.
 *
 * @param nextStep in the reader's terms. @default the error's own, which names parameters
 */
export function exitWith(
  error: unknown,
  stream: NodeJS.WritableStream,
  nextStep = isDstackError(error) ? error.nextStep : undefined,
): number {
  const print = (text: string) => stream.write(`${printable(text)}\n`);
  const printParagraph = (text: string, hang?: number) => print(wrapText(oneLine(text), widthOf(stream), hang));
  if (isDstackError(error)) {
    const { code, message, items } = error;
    const list = items.length > 1 ? items : [];
    const rest = list.length === 0 ? 0 : list.join(" ").length + 1;
    printParagraph(`${code} ${message.slice(0, message.length - rest)}`, code.length + 1);
    for (const item of list) printParagraph(`  - ${item}`, 4);
    if (nextStep !== undefined) printParagraph(nextStep);
    return error.exitCode;
  }
  if (error instanceof Error && error.name === "AbortError") {
    printParagraph(error.message);
    return 130;
  }
  // Hardhat's own errors, such as a missing configuration variable, already name the next step.
  if (error instanceof Error && (error.name === "HardhatError" || isOfSystem(error))) {
    print(error.message);
    return 1;
  }
  print(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

/** Makes one line of a message, which is wrapped with indentation, so that a quoted name cannot look like a line of our output. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

/** Errors of the operating system, such as a full disk: "EACCES: permission denied, open '…'" needs no explanation. */
export function isOfSystem(error: Error): error is Error & { readonly code: string } {
  return "syscall" in error && "code" in error && typeof error.code === "string";
}
