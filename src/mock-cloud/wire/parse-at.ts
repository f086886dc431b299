import { isDstackError } from "../../errors/index.ts";
import { InvalidRequestError } from "../errors.ts";

/** Turns what a parser of the core throws into the answer for a malformed request. */
export function parseAt<Result>(location: readonly string[], parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (isDstackError(error)) throw new InvalidRequestError(location, error.message);
    throw error;
  }
}
