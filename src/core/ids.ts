import { InvalidHexError } from "../errors/index.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = Hex & { readonly [brand]: Name };

/** SHA-256 of an app-compose document's bytes. 32 bytes. */
export type ComposeHash = Branded<"ComposeHash">;
/** SHA-256 of a machine's PPID. 32 bytes. */
export type DeviceId = Branded<"DeviceId">;
/** Address of an app's DstackApp contract, which is also the app's id. 20 bytes, lower case. */
export type AppId = Branded<"AppId">;
/** Hash of a transaction. 32 bytes. */
export type TransactionHash = Branded<"TransactionHash">;

/**
 * Parses a compose hash: 32 bytes of hex, with or without `0x`.
 *
 * @throws InvalidHexError
 *
 * @example
 * import { parseComposeHash } from "dstack-toolkit";
 * const composeHash = parseComposeHash(process.argv[2] ?? "");
 */
export function parseComposeHash(raw: string): ComposeHash {
  return parseFixedHex("A compose hash", raw, 32) as ComposeHash;
}

/**
 * Parses a device id: 32 bytes of hex, with or without `0x`.
 *
 * @throws InvalidHexError
 *
 * @example
 * import { parseDeviceId } from "dstack-toolkit";
 * const deviceId = parseDeviceId(process.argv[2] ?? "");
 */
export function parseDeviceId(raw: string): DeviceId {
  return parseFixedHex("A device id", raw, 32) as DeviceId;
}

/**
 * Parses an app id: 20 bytes of hex, with or without `0x` or the cloud's `app_`.
 *
 * @throws InvalidHexError
 *
 * @example
 * import { parseAppId } from "dstack-toolkit";
 * const appId = parseAppId("app_75537828f2ce51be7289709686a69cbfdbb714f1");
 */
export function parseAppId(raw: string): AppId {
  return parseFixedHex("An app id", raw.startsWith("app_") ? raw.slice(4) : raw, 20) as AppId;
}

/**
 * Parses a transaction hash: 32 bytes of hex, with or without `0x`.
 *
 * @throws InvalidHexError
 *
 * @example
 * import { parseTransactionHash } from "dstack-toolkit";
 * const transactionHash = parseTransactionHash(process.argv[2] ?? "");
 */
export function parseTransactionHash(raw: string): TransactionHash {
  return parseFixedHex("A transaction hash", raw, 32) as TransactionHash;
}

export type Hex = `0x${string}`;

/**
 * Parses hex of exactly `bytes` bytes and returns it in lower case with `0x`. The prefix may be missing, as in the
 * cloud's answers. Never pads or cuts: a padded hash would be a different hash.
 *
 * @throws InvalidHexError
 */
export function parseFixedHex(what: string, raw: string, bytes: number): Hex {
  const digits = raw.startsWith("0x") || raw.startsWith("0X") ? raw.slice(2) : raw;
  if (digits.length !== bytes * 2 || !/^[0-9a-fA-F]*$/.test(digits)) throw new InvalidHexError(what, raw, bytes);
  return `0x${digits.toLowerCase()}`;
}

/** Returns the digits without `0x`, as the cloud API writes hashes and ids. */
export function withoutPrefix(hex: Hex): string {
  return hex.slice(2);
}

/** Returns a CVM's name with its id, because replicas and instances of an app may share the name. */
export function nameOfCvm({ name, id }: { readonly name: string; readonly id: string }): string {
  return `${name} (${id})`;
}
