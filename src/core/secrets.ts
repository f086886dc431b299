import { Buffer } from "node:buffer";

/** The secrets of a request, which must not appear in any text. */
export interface SecretSource {
  /** URL with credentials, path and query. The host is not secret, unless `hidesHost` is set. */
  readonly url?: string | undefined;
  readonly hidesHost?: boolean | undefined;
  /** Headers in any form that `fetch` accepts. */
  readonly headers?: unknown;
  /** Further secrets, such as an API key. */
  readonly values?: readonly string[] | undefined;
}

export interface SecretCleaner {
  /** Replaces each secret in the text with a mark, in all common notations. */
  clean(text: string): string;
  /** Cleans every string of a JSON value, including property names. */
  cleanDeep(value: unknown): unknown;
}

/** Longest text to clean, because cleaning takes time for each character. No error message needs more. */
const longestText = 100_000;
const deepestValue = 100;

/**
 * Creates a cleaner that removes the secrets of known requests from a server's text. It finds them raw,
 * percent-encoded, JSON-escaped, as HTML entities, in hexadecimal and in base64, also within a longer base64 text.
 *
 * @param mark replaces each secret
 */
export function createSecretCleaner(sources: readonly SecretSource[], mark = "[hidden]"): SecretCleaner {
  const secrets = [...new Set(sources.flatMap(secretsOf))].filter((secret) => secret !== "");
  const spellings = secrets.flatMap(spellingsOf).sort((one, other) => other.length - one.length);
  const pattern =
    spellings.length === 0 ? undefined : new RegExp(spellings.map(({ source }) => source).join("|"), "giu");
  // The cut may be inside a secret. An escaped character has at most ten characters.
  const tail = 10 * Math.max(0, ...secrets.map(({ length }) => length));

  const clean = (text: string) => {
    if (pattern === undefined) return text;
    const cleaned = text.slice(0, longestText).replace(pattern, () => mark);
    return text.length > longestText ? cleaned.slice(0, Math.max(0, cleaned.length - tail)) : cleaned;
  };
  const cleanDeep = (value: unknown, levels = deepestValue): unknown => {
    if (typeof value === "string") return clean(value);
    if (typeof value !== "object" || value === null) return value;
    if (levels === 0) return mark;
    if (Array.isArray(value)) return value.map((part) => cleanDeep(part, levels - 1));
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [clean(name), cleanDeep(part, levels - 1)]));
  };
  return {
    clean,
    cleanDeep: (value) => cleanDeep(value),
  };
}

const deepestNesting = 10;

/**
 * Returns the secrets of a request that a viem client made: from the URL and headers of its transport, including the
 * transports of a fallback, and from the URLs that viem stores on its errors.
 */
export function secretsOfRequest(transport: unknown, error: unknown): SecretSource[] {
  const urls: SecretSource[] = [];
  for (let link = error; isObject(link) && urls.length < deepestNesting; link = link.cause)
    urls.push({ url: urlOf(link) });
  return [...secretsOfTransport(transport, deepestNesting), ...urls];
}

function secretsOfTransport(transport: unknown, levels: number): SecretSource[] {
  if (!isObject(transport) || levels === 0) return [];
  const { fetchOptions, transports, value } = transport;
  const headers = isObject(fetchOptions) ? fetchOptions.headers : undefined;
  const inner = Array.isArray(transports) ? [value, ...transports] : [value];
  return [{ url: urlOf(transport), headers }, ...inner.flatMap((one) => secretsOfTransport(one, levels - 1))];
}

function urlOf({ url }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof url === "string" && URL.canParse(url) ? url : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/**
 * Cuts every URL to its origin and hides text that looks like a key: 20 or more characters with at least one digit.
 * Keeps `0x` values. Use it for unknown secrets, such as those of a transport that does not expose its URL.
 */
export function hideLikelySecrets(text: string): string {
  return text
    .replace(/\b(?:https?|wss?):\/\/[^\s"'<>]+/gi, (url) => (URL.canParse(url) ? new URL(url).origin : "[url]"))
    .replace(/(?<![\w-])(?!0x)(?=[\w-]*\d)[\w-]{20,}/g, "[hidden]");
}

/** Parts of a URL that name a service or a chain. They are not secret and occur in many normal messages. */
const plainWords = new Set(
  (
    "api app apikey api-key api_key token key auth access project id user rpc json-rpc jsonrpc http https ws wss evm " +
    "eth ethereum base base-mainnet base-sepolia mainnet sepolia testnet chain chains network networks node nodes " +
    "public archive full main latest json true false"
  ).split(" "),
);
/** Schemes of an Authorization header. */
const schemes = new Set(["basic", "bearer", "digest", "token", "negotiate", "apikey"]);
/** Headers that describe the content, not the sender. */
const plainHeaders = /^(?:accept(?:-.*)?|cache-control|connection|content-(?:length|type)|host|origin|user-agent)$/;
/** Shorter pieces of a secret occur in too many other words. */
const shortestPiece = 4;

function secretsOf({ url, hidesHost = false, headers, values = [] }: SecretSource): string[] {
  return [...(url === undefined ? [] : secretsOfUrl(url, hidesHost)), ...secretsOfHeaders(headers), ...values];
}

function secretsOfUrl(raw: string, hidesHost: boolean): string[] {
  // A text that is not a URL has unknown parts, so all of it counts as secret.
  if (!URL.canParse(raw)) return [raw];
  const { host, hostname, username, password, pathname, search, hash, searchParams } = new URL(raw);
  const [user, word] = [decoded(username), decoded(password)];
  const credentials = user === "" && word === "" ? [] : [`${user}:${word}`, word, ...unlessPlain(user)];
  const named = [...searchParams].flatMap(([name, value]) => [value, ...(value === "" ? [name] : [])]);
  // Also as written in the query, because some servers read a plus sign as a space and others do not.
  const written = search
    .slice(1)
    .split("&")
    .map((pair) => decoded(pair.slice(pair.indexOf("=") + 1)));
  const parts = [...pathname.split("/").map(decoded), ...named, ...written, decoded(hash.slice(1))];
  return [...credentials, ...parts.flatMap(withPieces), ...(hidesHost ? [host, hostname] : [])];
}

function secretsOfHeaders(raw: unknown): string[] {
  return headerEntries(raw).flatMap(([name, value]) => {
    if (plainHeaders.test(name.toLowerCase())) return [];
    const [, scheme, rest = ""] = /^(\S+)\s+(.+)$/.exec(value) ?? [];
    const isBasic = scheme?.toLowerCase() === "basic";
    const credentials = isBasic ? fromBase64(rest) : "";
    const password = credentials.slice(credentials.indexOf(":") + 1);
    const pieces = withPieces(value).filter((piece) => !schemes.has(piece.toLowerCase()));
    return [value, ...pieces, credentials, password, ...unlessPlain(credentials.split(":")[0] ?? "")];
  });
}

function headerEntries(raw: unknown): [name: string, value: string][] {
  if (typeof raw !== "object" || raw === null) return [];
  const pairs: unknown[] = Symbol.iterator in raw ? [...(raw as Iterable<unknown>)] : Object.entries(raw);
  return pairs.flatMap((pair) => (Array.isArray(pair) ? [[String(pair[0]), String(pair[1]).trim()]] : []));
}

/** Returns the value and, if it is a list or has the form `name=value`, its parts. */
function withPieces(value: string): string[] {
  const pieces = value.split(/[\s;,&=:"]+/).filter((piece) => piece.length >= shortestPiece);
  return [value, ...pieces].flatMap(unlessPlain);
}

function unlessPlain(part: string): string[] {
  return plainWords.has(part.toLowerCase()) || /^v\d{1,2}$/i.test(part) ? [] : [part];
}

interface Spelling {
  /** Source of a regular expression. */
  readonly source: string;
  readonly length: number;
}

/** Secrets this short are matched only as whole words, because they occur inside many words. */
const longestWord = 2;
const shortestBase64 = 4;

function spellingsOf(secret: string): Spelling[] {
  const bytes = Buffer.from(secret);
  const isWord = secret.length <= longestWord || /^\d+$/.test(secret);
  const base64 = bytes.toString("base64").replace(/=+$/, "");
  const inside = [0, 1, 2].map((offset) => insideBase64(bytes, offset)).filter((text) => text.length >= shortestBase64);
  const hex = bytes.toString("hex");
  return [
    { source: standingAlone(isWord, [...secret].map(patternOf).join("")), length: secret.length },
    { source: `${standingAlone(isWord, base64Pattern(base64))}(?:=|%3d){0,2}`, length: base64.length },
    ...inside.map((text) => ({ source: base64Pattern(text), length: text.length })),
    { source: standingAlone(isWord, hex), length: hex.length },
  ];
}

function standingAlone(isWord: boolean, source: string): string {
  return isWord ? `(?<![\\p{L}\\p{N}])${source}(?![\\p{L}\\p{N}])` : source;
}

/**
 * Returns a pattern for a character in any notation: raw, with backslashes before it, or as an escape of JSON, URLs or
 * HTML. Repetitions are limited, so that matching never takes quadratic time.
 */
function patternOf(character: string): string {
  const point = character.codePointAt(0) ?? 0;
  const hex = point.toString(16);
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  const forms = [
    `\\u{${hex}}`,
    [...Buffer.from(character)].map((byte) => `%(?:25){0,3}${twoDigits(byte)}`).join(""),
    units.map((unit) => `\\\\{1,8}u${unit.toString(16).padStart(4, "0")}`).join(""),
    `&#(?:0{0,6}${point}|x0{0,6}${hex});`,
    ...(point < 256 ? [`\\\\{1,8}x${twoDigits(point)}`] : []),
    ...(character === " " ? ["\\+"] : []),
    ...(Object.hasOwn(entities, character) ? [`&${entities[character]};`] : []),
  ].join("|");
  return /[\p{L}\p{N}]/u.test(character) ? `(?:${forms})` : `\\\\{0,8}(?:${forms})`;
}

const entities: Readonly<Record<string, string>> = { '"': "quot", "&": "amp", "<": "lt", ">": "gt", "'": "apos" };

function twoDigits(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/**
 * Returns the characters of a longer base64 text that depend only on these bytes. `offset` is the position of the first
 * byte in its group of three.
 */
function insideBase64(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString("base64")
    .replace(/=+$/, "");
  const isWhole = (offset + bytes.length) % 3 === 0;
  return text.slice(offset === 0 ? 0 : offset + 1, isWhole ? undefined : -1);
}

/** Returns a pattern for base64 in both alphabets, and with its signs escaped as in URLs and JSON. */
function base64Pattern(text: string): string {
  const forms: Readonly<Record<string, string>> = { "+": "(?:[+\\-]|%2b)", "/": "(?:\\\\{0,8}/|_|%2f)" };
  return [...text].map((character) => forms[character] ?? character).join("");
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString();
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
