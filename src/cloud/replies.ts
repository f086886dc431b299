import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { withRetry } from "../core/retry.ts";
import { describeHttpAnswer, parseJson, problemOfBody } from "../core/text.ts";
import { CloudProtocolError, type DstackError, InvalidArgumentError, isDstackError } from "../errors/index.ts";
import type { CloudClient } from "./create-client.ts";
import { type CloudReply, type CloudRequest, causeWithout } from "./http.ts";

/** An answer of a wrong shape may come from a proxy, or from one of several servers. */
const mostTries = 3;

/**
 * Sends a GET request and converts its answer. If the answer has a wrong shape, asks again.
 *
 * @param convert throws a ZodError or an InputError if the shape is wrong
 * @throws CloudError
 */
export function readReply<Value>(
  client: CloudClient,
  request: Omit<CloudRequest, "method">,
  convert: (reply: CloudReply) => Value,
): Promise<Value> {
  let isAnswered = false;
  const pauseAfter = (error: unknown, tries: number) => {
    if (!isAnswered || !(error instanceof CloudProtocolError)) throw error;
    if (tries >= Math.min(mostTries, client.retry.attempts)) throw error;
    return Math.min(client.retry.baseDelayMs * 2 ** (tries - 1), client.retry.maxDelayMs);
  };
  return withRetry({ clock: { sleep: (milliseconds) => sleep(milliseconds) }, pauseAfter }, async () => {
    isAnswered = false;
    const reply = await client.request({ ...request, method: "GET" });
    isAnswered = true;
    return checkShape(reply, () => convert(reply));
  });
}

/** As `readReply`, for an answer in JSON. `convert` gets its body. */
export function readJson<Value>(
  client: CloudClient,
  request: Omit<CloudRequest, "method">,
  convert: (body: unknown, reply: CloudReply) => Value,
): Promise<Value> {
  return readReply(client, request, (reply) => parseReply(reply, (body) => convert(body, reply)));
}

/**
 * Parses the body of an answer and converts it. `convert` throws a ZodError or an InputError if the shape is wrong.
 *
 * @throws CloudProtocolError
 */
export function parseReply<Value>(
  reply: Pick<CloudReply, "method" | "path" | "status" | "text" | "clean"> & Partial<Pick<CloudReply, "contentType">>,
  convert: (body: unknown) => Value,
): Value {
  const body = parseJson(reply.text);
  if (body === undefined) {
    const answer = { status: reply.status, contentType: reply.contentType, body: reply.text };
    const problem = describeHttpAnswer(answer, reply.clean, problemOfBody(reply.text, "JSON"));
    throw new CloudProtocolError(reply.method, reply.path, problem);
  }
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
