import { type Hex, parseFixedHex } from "./hex.ts";

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

/** @throws InvalidHexError */
export function parseComposeHash(raw: string): ComposeHash {
  return parseFixedHex("A compose hash", raw, 32) as ComposeHash;
}

/** @throws InvalidHexError */
export function parseDeviceId(raw: string): DeviceId {
  return parseFixedHex("A device id", raw, 32) as DeviceId;
}

/** Accepts the cloud's `app_` prefix too. @throws InvalidHexError */
export function parseAppId(raw: string): AppId {
  return parseFixedHex("An app id", raw.startsWith("app_") ? raw.slice(4) : raw, 20) as AppId;
}

/** @throws InvalidHexError */
export function parseTransactionHash(raw: string): TransactionHash {
  return parseFixedHex("A transaction hash", raw, 32) as TransactionHash;
}
