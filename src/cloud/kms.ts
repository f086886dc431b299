import { type AppId, type Hex, parseAppId, parseFixedHex } from "../core/ids.ts";
import type { KmsInfo } from "./protocol.ts";

/** The key management service of a CVM. */
export interface Kms {
  readonly id: string;
  readonly slug: string | undefined;
  readonly url: string;
  readonly version: string;
  /** Absent where the KMS keeps its policy off chain. */
  readonly chainId: number | undefined;
  /** Address of its DstackKms contract. */
  readonly contractAddress: Hex | undefined;
  readonly gatewayAppId: string | undefined;
}

/** @throws InvalidHexError */
export function toKms(wire: KmsInfo): Kms {
  return {
    id: wire.id,
    slug: wire.slug ?? undefined,
    url: wire.url,
    version: wire.version,
    chainId: wire.chain_id ?? undefined,
    contractAddress: toAddress("A KMS address", wire.kms_contract_address),
    gatewayAppId: wire.gateway_app_id ?? undefined,
  };
}

/** @throws InvalidHexError */
export function toAddress(what: string, raw: string | null | undefined): Hex | undefined {
  return raw ? parseFixedHex(what, raw, 20) : undefined;
}

/** @throws InvalidHexError */
export function toAppId(raw: string | null | undefined): AppId | undefined {
  return raw ? parseAppId(raw) : undefined;
}
