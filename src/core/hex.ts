import { InvalidHexError } from "../errors/index.ts";

export type Hex = `0x${string}`;

/**
 * Lower-case `0x` hex of exactly `bytes` bytes. The prefix may be missing, as in the cloud's answers;
 * width and alphabet may not be off: a short hash that gets padded is another hash.
 *
 * @throws InvalidHexError
 */
export function parseFixedHex(what: string, raw: string, bytes: number): Hex {
  const digits = raw.startsWith("0x") || raw.startsWith("0X") ? raw.slice(2) : raw;
  if (digits.length !== bytes * 2 || !/^[0-9a-fA-F]*$/.test(digits)) throw new InvalidHexError(what, raw, bytes);
  return `0x${digits.toLowerCase()}`;
}

/** The digits alone, as the cloud API writes hashes and ids. */
export function withoutPrefix(hex: Hex): string {
  return hex.slice(2);
}
