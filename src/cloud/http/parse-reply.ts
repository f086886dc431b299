import { z } from "zod";
import { CloudProtocolError, isDstackError } from "../../errors/index.ts";
import type { CloudReply } from "./exchange.ts";
import { parseJson } from "./parse-json.ts";

/**
 * The body of an answer, through a converter that throws a ZodError or an InputError where the shape is off.
 *
 * @throws CloudProtocolError
 */
export function parseReply<Value>(reply: CloudReply, convert: (body: unknown) => Value): Value {
  const body = parseJson(reply.text);
  if (body === undefined) throw new CloudProtocolError(reply.method, reply.path, "it is not JSON");
  return checkShape(reply, () => convert(body));
}

/** Turns what parsers of this package throw into the error that names the call. */
export function checkShape<Value>(reply: Pick<CloudReply, "method" | "path">, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    throw new CloudProtocolError(reply.method, reply.path, problem, { cause: error });
  }
}

/** Paths and expectations only: a value of the answer may be anything. */
function problemOf(error: unknown): string | undefined {
  if (isDstackError(error) && error.family === "input") return error.message;
  if (!(error instanceof z.ZodError)) return undefined;
  const issues = error.issues.slice(0, 3).map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  return issues.join("; ");
}
