import type { ComposeHash, DeviceId } from "../../core/ids.ts";
import { chainUnavailable, notOnChain } from "../errors.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Kms } from "../store/platform.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-onchain-status.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/**
 * What the contract of a CVM's app says of a document and a device.
 *
 * @throws ApiError 400 where no contract decides, 503 when the chain cannot be read
 */
export async function readAppPolicy(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  { appId, hashid }: Pick<Cvm, "appId" | "hashid">,
  subject: { readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus> {
  if (kms.chainId === null) throw notOnChain(appId);
  const client = kmsRuntime.chain(kms.id, hashid);
  if (!client) throw chainUnavailable(kms.chainId, "no endpoint is configured");
  try {
    return await readOnchainStatus(client, { appId, ...subject });
  } catch (error) {
    throw chainUnavailable(kms.chainId, error);
  }
}
