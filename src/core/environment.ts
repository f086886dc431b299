import { createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { gcm } from "@noble/ciphers/aes";
import { randomBytes } from "@noble/ciphers/webcrypto";
import { x25519 } from "@noble/curves/ed25519";
import { parse } from "dotenv";
import { bytesToHex, hexToBytes } from "viem";
import { EnvironmentDecryptionError, InvalidEnvironmentError } from "../errors/index.ts";
import { parseFixedHex, withoutPrefix } from "./ids.ts";

/** Random values of one encryption. Use them for one encryption only. */
export interface EncryptionRandomness {
  /** 32 bytes. */
  readonly ephemeralPrivateKey: Uint8Array;
  /** 12 bytes. Never use it twice with the same ephemeral key: reuse reveals the plaintexts. */
  readonly iv: Uint8Array;
}

// Payload: ephemeral public key, iv, ciphertext, tag.
const publicKeyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const minimumBytes = publicKeyBytes + ivBytes + tagBytes;

/**
 * Encrypts an environment so that only the CVM can read it: x25519 with a fresh key, the raw shared secret as AES-256-GCM
 * key. Returns lower-case hex without `0x`, as the cloud takes it in `encrypted_env`.
 *
 * @param recipientPublicKey the app's encryption key, 32 bytes of hex
 * @throws InvalidHexError, InvalidEnvironmentError
 *
 * @example
 * import { encryptEnvironment } from "dstack-toolkit";
 * import { publicKey } from "./app.js";
 * const encryptedEnvironment = encryptEnvironment([{ key: "API_TOKEN", value: "…" }], publicKey);
 */
export function encryptEnvironment(variables: readonly EnvironmentVariable[], recipientPublicKey: string): string {
  return encryptEnvironmentWith(variables, recipientPublicKey, {
    ephemeralPrivateKey: x25519.utils.randomPrivateKey(),
    iv: randomBytes(ivBytes),
  });
}

/** Like `encryptEnvironment`, with given random values. Tests use it to get the same bytes every time. */
export function encryptEnvironmentWith(
  variables: readonly EnvironmentVariable[],
  recipientPublicKey: string,
  randomness: EncryptionRandomness,
): string {
  const recipient = hexToBytes(parseFixedHex("An encryption key", recipientPublicKey, publicKeyBytes));
  checkVariables(variables);
  const plaintext = JSON.stringify({ env: variables.map(({ key, value }) => ({ key, value })) });
  const { ephemeralPrivateKey, iv } = randomness;
  const key = agree(ephemeralPrivateKey, recipient);
  if (key === undefined) {
    throw new InvalidEnvironmentError(
      "The encryption key is a point of low order, so anyone could decrypt the environment.",
      {
        nextStep: "Do not send secrets. Check the API address, because a KMS never returns such a key.",
      },
    );
  }
  const sealed = gcm(key, iv).encrypt(new TextEncoder().encode(plaintext));
  return [x25519.getPublicKey(ephemeralPrivateKey), iv, sealed].map((part) => withoutPrefix(bytesToHex(part))).join("");
}

/**
 * Decrypts a payload made by `encryptEnvironment` or by an official client. Keeps the names and the order as sent.
 *
 * @param payload hex, with or without `0x`
 * @param recipientPrivateKey 32 bytes of hex
 * @throws EnvironmentDecryptionError if the payload is cut, changed or encrypted to another key
 * @throws InvalidEnvironmentError if the decrypted text is not an environment
 *
 * @example
 * import { decryptEnvironment } from "dstack-toolkit";
 * import { encryptedEnvironment, privateKey } from "./app.js";
 * for (const { key } of decryptEnvironment(encryptedEnvironment, privateKey)) console.log(key);
 */
export function decryptEnvironment(payload: string, recipientPrivateKey: string): EnvironmentVariable[] {
  const privateKey = hexToBytes(parseFixedHex("An environment key", recipientPrivateKey, 32));
  const digits = payload.startsWith("0x") ? payload.slice(2) : payload;
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw undecryptable("is not hex");
  const bytes = hexToBytes(`0x${digits}`);
  if (bytes.length < minimumBytes)
    throw undecryptable("is shorter than an empty one", { bytes: bytes.length, minimumBytes });

  const key = agree(privateKey, bytes.slice(0, publicKeyBytes));
  if (key === undefined) throw undecryptable("starts with a key of low order");
  const iv = bytes.slice(publicKeyBytes, publicKeyBytes + ivBytes);
  let plaintext: Uint8Array;
  try {
    plaintext = gcm(key, iv).decrypt(bytes.slice(publicKeyBytes + ivBytes));
  } catch (cause) {
    throw undecryptable("was modified or is encrypted to another key", {}, cause);
  }
  return parsePlaintext(plaintext);
}

// The DER of an x25519 key up to its 32 bytes: PKCS #8 and SubjectPublicKeyInfo.
const privateKeyPrefix = hexToBytes("0x302e020100300506032b656e04220420");
const publicKeyPrefix = hexToBytes("0x302a300506032b656e032100");

/**
 * Returns the shared secret. Returns undefined if the public key is a low-order point, because the secret would then be
 * public. Node computes it ten times faster than the pure JavaScript of noble.
 */
function agree(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return diffieHellman({
      privateKey: createPrivateKey({ key: der(privateKeyPrefix, privateKey), format: "der", type: "pkcs8" }),
      publicKey: createPublicKey({ key: der(publicKeyPrefix, publicKey), format: "der", type: "spki" }),
    });
  } catch {
    return undefined;
  }
}

function der(prefix: Uint8Array, key: Uint8Array): Buffer {
  return Buffer.concat([prefix, key]);
}

// Limits of dstack's guest. If one is exceeded, the guest refuses the whole environment.
const maximumNames = 1024;
const maximumNameLength = 255;
const maximumValueBytes = 128 * 1024;
const maximumTotalBytes = 1024 * 1024;

/**
 * Checks that the guest can read an environment: names, limits of size, and values that are text.
 *
 * @throws InvalidEnvironmentError
 */
export function checkVariables(variables: readonly EnvironmentVariable[]): void {
  const seen = new Set<string>();
  const counted = variables.length;
  if (counted > maximumNames) throw tooLarge(`has ${counted} variables`, `${maximumNames} variables`, { counted });
  const bytes = variables.reduce((sum, { key, value }) => sum + bytesOf(key) + bytesOf(value), 0);
  if (bytes > maximumTotalBytes) throw tooLarge(`has ${bytes} bytes`, `${maximumTotalBytes} bytes in all`, { bytes });
  for (const [index, { key, value }] of variables.entries()) {
    if (!isEnvironmentName(key)) throw invalidEnvironmentName(`environment variable ${index + 1}`, { index });
    if (key.length > maximumNameLength) {
      throw tooLarge(`has a name of ${key.length} characters`, `${maximumNameLength} characters`, { index });
    }
    if (bytesOf(value) > maximumValueBytes) {
      const limit = `${maximumValueBytes} bytes for a value`;
      throw tooLarge(`has a value of ${bytesOf(value)} bytes for ${key}`, limit, { name: key });
    }
    if (value.includes("\0")) {
      throw invalidEnvironment(`The value of ${key} contains a null character, which ends a value on the CVM.`, {
        name: key,
      });
    }
    if (seen.has(key)) throw invalidEnvironment(`The environment variable ${key} is set twice.`, { name: key });
    seen.add(key);
    // The guest would fail to parse it as UTF-8 JSON and would discard the whole environment.
    if (/\p{Cs}/u.test(value)) {
      throw invalidEnvironment(`The value of ${key} contains half of a surrogate pair, which is not valid text.`, {
        name: key,
      });
    }
  }
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

function tooLarge(what: string, limit: string, context: Readonly<Record<string, unknown>>): InvalidEnvironmentError {
  return new InvalidEnvironmentError(`The environment ${what}, but the guest accepts at most ${limit}.`, {
    nextStep: "Shorten it. Put large data into a volume or an image, and encrypt it if it is secret.",
    context,
  });
}

function parsePlaintext(plaintext: Uint8Array): EnvironmentVariable[] {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plaintext));
  } catch {
    // No `cause`: the parser's message quotes the plaintext.
    throw invalidEnvironment("The decrypted environment is not JSON.", {});
  }
  if (!hasExactly(document, ["env"]) || !Array.isArray(document.env)) {
    throw invalidEnvironment("The decrypted environment is not an object with one list named env.", {});
  }
  return document.env.map((entry: unknown, index) => {
    if (hasExactly(entry, ["key", "value"])) {
      const { key, value } = entry;
      if (typeof key === "string" && typeof value === "string") return { key, value };
    }
    throw invalidEnvironment(`Entry ${index + 1} of the decrypted environment is not a pair of strings.`, { index });
  });
}

function hasExactly<Key extends string>(value: unknown, keys: readonly Key[]): value is Record<Key, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.keys(value).length === keys.length && keys.every((key) => Object.hasOwn(value, key));
}

function invalidEnvironment(message: string, context: Readonly<Record<string, unknown>>): InvalidEnvironmentError {
  return new InvalidEnvironmentError(message, {
    nextStep: "Give every variable once, with a name and a text value.",
    context,
  });
}

function undecryptable(problem: string, context: Readonly<Record<string, number>> = {}, cause?: unknown) {
  return new EnvironmentDecryptionError(`The encrypted environment ${problem}.`, {
    nextStep: "Fetch the app's current encryption key and encrypt the environment again.",
    context,
    cause,
  });
}

/** Whether a name can be an environment variable in every shell: letters, digits and underscores, no leading digit. */
export function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** The message does not quote the name: an invalid name may be a secret value that was written without its key. */
export function invalidEnvironmentName(where: string, context: Readonly<Record<string, number>>) {
  return new InvalidEnvironmentError(`The name of ${where} is not a valid name of an environment variable.`, {
    nextStep: "Use only letters, digits and underscores, and do not start with a digit.",
    context,
  });
}

export interface EnvironmentVariable {
  readonly key: string;
  readonly value: string;
}

interface Line {
  readonly number: number;
  readonly text: string;
  /** The name before `=` or `: `, if the line looks like an assignment. It may also be text within a quoted value. */
  readonly name?: string;
}

const assignment = /^\s*(?:export\s+)?([\w.-]+)(?=\s*=|:\s)/;

/**
 * Parses the text of a `.env` file with dotenv's quoting rules and keeps the order of the file. Reads neither the disk
 * nor the process environment, so a `$` stays as it is. Unlike dotenv, it rejects lines that set nothing, names that are
 * set twice, and a `#` that could be part of a value or begin a comment.
 *
 * @throws InvalidEnvironmentError with the line number, never with the line's text
 *
 * @example
 * import { parseEnvironment } from "dstack-toolkit";
 * const variables = parseEnvironment("API_URL=https://api.example\nAPI_TOKEN=…");
 */
export function parseEnvironment(dotenvText: string): EnvironmentVariable[] {
  const text = dotenvText.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  const values = parse(text);
  const lines = text.split("\n");
  const firstLines = new Map<string, number>();
  for (const { number, name, text: line } of findAssignments(text)) {
    if (name === undefined) throw malformed(`Line ${number} of the environment file sets nothing.`, { line: number });
    if (!isEnvironmentName(name) || !Object.hasOwn(values, name))
      throw invalidEnvironmentName(`line ${number} of the environment file`, { line: number });
    const earlier = firstLines.get(name);
    if (earlier !== undefined) {
      throw malformed(`Lines ${earlier} and ${number} of the environment file both set ${name}.`, {
        line: number,
        name,
      });
    }
    if (isQuoteOpen(line, values[name] ?? "")) {
      throw malformed(`Line ${number} of the environment file has an opening quote without a closing quote.`, {
        line: number,
        name,
      });
    }
    if (hasDoubtfulHash(lines.slice(number - 1))) {
      throw new InvalidEnvironmentError(`Line ${number} of the environment file has a # outside of quotes.`, {
        nextStep: `Put the value in quotes, as in ${name}='…#…'. A comment needs a space before its #.`,
        context: { line: number, name },
      });
    }
    firstLines.set(name, number);
  }
  return Array.from(firstLines.keys(), (key) => ({ key, value: values[key] ?? "" }));
}

const beforeValue = /^\s*(?:export\s+)?[\w.-]+(?:\s*=|:(?=\s))/;

/**
 * Tells whether readers could disagree about a `#` of an assignment, which begins with the first of the lines. dotenv
 * ends an unquoted value at each `#`; Docker Compose and shells do so only at one after white space.
 */
function hasDoubtfulHash(lines: readonly string[]): boolean {
  const [first = ""] = lines;
  const rest = first.replace(beforeValue, "");
  if (/^\s*["'`]/.test(rest)) {
    const source = [rest, ...lines.slice(1)].join("\n");
    return /^\s*(["'`])(?:\\\1|(?!\1)[\s\S])*\1#/.test(source);
  }
  const index = rest.indexOf("#");
  if (index < 0) return false;
  const [before, after] = [rest.slice(0, index), rest.slice(index + 1)];
  const isComment = /\s$/.test(before) && (before.trim() !== "" || /^(?:\s|$)/.test(after));
  return !isComment || /["'`]/.test(before);
}

/** dotenv treats an opening quote without a closing quote as part of the value. */
function isQuoteOpen(line: string, value: string): boolean {
  const [, quote] = /^\s*(?:export\s+)?[\w.-]+(?:\s*=|:\s)\s*(['"`])/.exec(line) ?? [];
  return quote !== undefined && value.startsWith(quote);
}

/**
 * Returns the lines that dotenv reads as assignments and the lines that it would silently skip. Leaves out lines within
 * a quoted value. dotenv reports neither line numbers nor repeated names. Therefore every line gets a unique name
 * first: each name that dotenv then finds is a line where it starts an assignment.
 */
function findAssignments(text: string): Line[] {
  const lines = text.split("\n").map(readLine);
  const marked = lines.map(({ number, text: line, name }) => {
    if (isIgnorable(line)) return line;
    return name === undefined ? `LINE_${number}=${line}` : line.replace(assignment, `LINE_${number}`);
  });
  const found = parse(marked.join("\n"));
  return lines.filter(({ number }) => Object.hasOwn(found, `LINE_${number}`));
}

function readLine(text: string, index: number): Line {
  const name = assignment.exec(text)?.[1];
  return { number: index + 1, text, ...(name !== undefined && { name }) };
}

function isIgnorable(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}

function malformed(message: string, context: Readonly<Record<string, unknown>>): InvalidEnvironmentError {
  return new InvalidEnvironmentError(message, {
    nextStep: "Write every line as NAME=value, and put values of several lines in quotes.",
    context,
  });
}
