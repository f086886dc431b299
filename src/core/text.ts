/** Characters that can control a terminal, or hide and reverse text. */
export const controlCharacters = /[\p{Cc}\p{Cf}]/gu;

/**
 * Makes text from a server or a contract safe to print: replaces control characters by spaces and cuts long text.
 *
 * @param limit in characters
 */
export function cleanText(text: string, limit = 500): string {
  const printable = text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").trim();
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable;
}

/**
 * Makes text safe for a terminal. A compose file, a node's error or a command line may contain sequences that clear the
 * screen, hide a line or reverse it. Replaces each control character with U+FFFD. Keeps line feeds.
 */
export function printable(text: string): string {
  return text.replace(controlCharacters, (character) => (character === "\n" ? character : "\ufffd"));
}

/** An HTTP answer that is not the one that the client asked for. */
export interface HttpAnswer {
  readonly status: number;
  /** Value of the Content-Type header. */
  readonly contentType: string | undefined;
  readonly body: string;
}

/** Longest quotation of a server, in characters. */
const longestWords = 200;
/** A server's own message is at the start of its answer. */
const longestStart = 10_000;

/**
 * Describes an answer in one line: status, media type, problem, and the server's first words.
 *
 * @param clean removes the secrets of the request from the server's text
 * @param problem what is wrong with it, if the status does not say so
 */
export function describeHttpAnswer(answer: HttpAnswer, clean: (text: string) => string, problem?: string): string {
  const type = mediaTypeOf(answer.contentType);
  const what = [`HTTP ${answer.status}`, type, problem].filter((part) => part !== undefined).join(", ");
  const words = firstWords(answer.body, clean);
  return words === "" ? what : `${what}: ${words}`;
}

/** Says what a body is instead of `wanted`, such as JSON. */
export function problemOfBody(body: string, wanted: string): string {
  if (body.trim() === "") return "an empty body";
  return isPage(body) ? `an HTML page and not ${wanted}` : `not ${wanted}`;
}

/** The media type without its parameters. Undefined if the header is absent or malformed. */
export function mediaTypeOf(contentType: string | undefined): string | undefined {
  return /^[\w.+-]{1,40}\/[\w.+-]{1,60}/.exec(contentType ?? "")?.[0].toLowerCase();
}

/** The message of a JSON answer, the text of a page, or the body itself, on one line and without control characters. */
export function firstWords(body: string, clean: (text: string) => string): string {
  const said = messageIn(parseJson(body)) ?? (isPage(body) ? textOfPage(body) : body);
  const line = clean(said.slice(0, longestStart)).replace(/\s+/g, " ");
  return cleanText(line, longestWords).replace(/\.+$/, "");
}

/** Parses JSON. Returns `undefined` if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The fields in which servers put their message, the outermost first. */
const messageFields = ["message", "detail", "error_description", "error", "reason", "title"];

function messageIn(value: unknown, levels = 3): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  if (typeof value !== "object" || value === null || levels === 0) return undefined;
  for (const field of messageFields) {
    const found = messageIn(Reflect.get(value, field), levels - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isPage(body: string): boolean {
  return /^\s*<(?:!doctype|\?xml|[a-z])/i.test(body);
}

function textOfPage(body: string): string {
  return body
    .slice(0, longestStart)
    .replace(/<(script|style)\b[\s\S]*?<\/\1\s*>|<!--[\s\S]*?-->/gi, " ")
    .replace(/<[^>]*>?/g, " ");
}

/** Why no HTTP answer came. */
export interface NetworkFailure {
  /** Code of the system or the HTTP client, such as ECONNREFUSED. */
  readonly code: string;
  readonly words: string;
}

const failures: readonly (readonly [codes: RegExp, words: string])[] = [
  [/^ECONNREFUSED$/, "the connection was refused"],
  [/^(?:ENOTFOUND|EAI_[A-Z]+)$/, "its host name was not found"],
  [/^(?:ECONNRESET|ECONNABORTED|EPIPE|UND_ERR_SOCKET)$/, "the connection was closed before the answer was complete"],
  [/^(?:ETIMEDOUT|UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT)$/, "the connection timed out"],
  [/^(?:EHOST|ENET)(?:UNREACH|DOWN)$/, "there is no route to its address"],
  [/^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO$)/, "the TLS connection failed"],
  [/^(?:HPE_|HTTPParserError$)/, "its answer is not HTTP"],
];
const deepest = 10;

/** Finds the failure of the network in an error of `fetch`. Undefined for other errors. */
export function findNetworkFailure(error: unknown): NetworkFailure | undefined {
  for (let link = error, levels = 0; typeof link === "object" && link !== null && levels < deepest; levels++) {
    const { name, code = name, cause, errors } = link as Readonly<Record<string, unknown>>;
    const [, words] = failures.find(([codes]) => typeof code === "string" && codes.test(code)) ?? [];
    if (words !== undefined) return { code: String(code), words: `${words}, ${code}` };
    // One error for each address of a host.
    link = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return undefined;
}

/** @throws RangeError if the body is longer than the limit; the rest is not read */
export async function readBody(response: Pick<Response, "body">, limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw new RangeError(`the body is longer than ${limit} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
