import type { KmsContract, KmsInfo } from "../../cloud/protocol.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import type { KmsContract as KmsContractRecord } from "../services/kms-contracts.ts";
import type { Kms } from "../store/platform.ts";

export function toKmsInfo(kms: Kms): KmsInfo {
  return {
    id: kms.id,
    slug: kms.slug,
    url: kms.url,
    version: kms.version,
    chain_id: kms.chainId,
    kms_contract_address: kms.contractAddress,
    gateway_app_id: kms.gatewayAppId,
  };
}

/** @param signingPublicKey of the root key its nodes share; null while they are down */
export function toKmsContract({ id, nodes }: KmsContractRecord, signingPublicKey: Hex | null): KmsContract {
  const [{ slug, contractAddress, chainId }] = nodes;
  return {
    id,
    slug,
    label: null,
    contract_address: contractAddress ?? "phala",
    chain_id: chainId ?? 0,
    k256_pubkey: signingPublicKey === null ? null : withoutPrefix(signingPublicKey),
    ca_pubkey: null,
    node_count: nodes.length,
  };
}
