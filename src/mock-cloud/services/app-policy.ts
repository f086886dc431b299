import type { AppId, ComposeHash, DeviceId } from "../../core/ids.ts";
import { chainUnavailable, notOnChain } from "../errors.ts";
import type { Kms } from "../store/platform.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-onchain-status.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/**
 * What the app's contract says of a document and a device.
 *
 * @throws ApiError 400 where no contract decides, 503 when the chain cannot be read
 */
export async function readAppPolicy(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  subject: { readonly appId: AppId; readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus> {
  if (kms.chainId === null) throw notOnChain(subject.appId);
  const client = kmsRuntime.chain(kms.id);
  if (!client) throw chainUnavailable(kms.chainId, "no endpoint is configured");
  try {
    return await readOnchainStatus(client, subject);
  } catch (error) {
    throw chainUnavailable(kms.chainId, error);
  }
}
