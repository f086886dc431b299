import { z } from "zod";
import { CloudProtocolError, type DstackError, InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { type CloudReply, causeWithout, parseJson } from "./http.ts";

/**
 * Parses the body of an answer and converts it. `convert` throws a ZodError or an InputError if the shape is wrong.
 *
 * @throws CloudProtocolError
 */
export function parseReply<Value>(
  reply: Pick<CloudReply, "method" | "path" | "text" | "clean">,
  convert: (body: unknown) => Value,
): Value {
  const body = parseJson(reply.text);
  if (body === undefined) throw new CloudProtocolError(reply.method, reply.path, "it is not JSON");
  return checkShape(reply, () => convert(body));
}

/** Runs a parser and converts its error into a CloudProtocolError that names the request. */
export function checkShape<Value>(reply: Pick<CloudReply, "method" | "path" | "clean">, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    throw new CloudProtocolError(reply.method, reply.path, reply.clean(problem), causeWithout(reply.clean, error));
  }
}

/** Reports only paths and expected types: a value of the answer may be a secret. */
function problemOf(error: unknown): string | undefined {
  if (isDstackError(error) && error.family === "input") return error.message;
  if (!(error instanceof z.ZodError)) return undefined;
  const issues = error.issues.slice(0, 3).map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  return issues.join("; ");
}

/**
 * Template tag for paths below the API's base path. Every placeholder becomes exactly one segment.
 *
 * @throws InvalidArgumentError for an identifier that would address another endpoint
 */
export function apiPath(literals: TemplateStringsArray, ...segments: readonly string[]): string {
  return String.raw({ raw: literals }, ...segments.map(encodeSegment));
}

function encodeSegment(segment: string): string {
  // URL parsers resolve "." and ".." even when they are percent-encoded.
  if (segment === "" || segment === "." || segment === "..") {
    throw new InvalidArgumentError(`"${segment}" is not an identifier.`, { nextStep: "Give a name or an id." });
  }
  return encodeURIComponent(segment);
}

export type SafeResult<Data> =
  | { readonly success: true; readonly data: Data }
  | { readonly success: false; readonly error: DstackError };

/** Wraps an action to return errors of this package as values. Other errors are still thrown. */
export function safe<Arguments extends readonly unknown[], Data>(
  action: (...args: Arguments) => Promise<Data>,
): (...args: Arguments) => Promise<SafeResult<Data>> {
  return async (...args) => {
    try {
      return { success: true, data: await action(...args) };
    } catch (error) {
      if (!isDstackError(error)) throw error;
      return { success: false, error };
    }
  };
}
