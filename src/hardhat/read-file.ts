import { InvalidArgumentError } from "../errors/index.ts";
import { readBounded } from "../files/read-bounded.ts";

/** A text file that an argument names. @throws UnusableFileError, InvalidArgumentError if it is not UTF-8 */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readBounded(path);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidArgumentError(`${path} is not a text in UTF-8.`, {
      nextStep: "Save it as UTF-8: its bytes are hashed.",
      context: { path },
      cause,
    });
  }
}
