import type { KmsInfo } from "../../cloud/protocol.ts";
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
