import { readFile } from "node:fs/promises";
import { InvalidArgumentError } from "../errors/index.ts";

/** A text file that an argument names. @throws InvalidArgumentError */
export async function readTextFile(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path));
  } catch (cause) {
    const isEncoding = cause instanceof TypeError;
    throw new InvalidArgumentError(`${path} ${isEncoding ? "is not a text in UTF-8" : "cannot be read"}.`, {
      nextStep: isEncoding ? "Save it as UTF-8: its bytes are hashed." : "Check the path.",
      context: { path },
      cause,
    });
  }
}
