import type { ComposeHash, DeviceId } from "../../core/ids.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Kms } from "../store/platform.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-onchain-status.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/** What the contract of a CVM's app allows right now; undefined off chain, and when the chain gives no answer. */
export async function tryOnchainStatus(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  { appId, hashid }: Pick<Cvm, "appId" | "hashid">,
  subject: { readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus | undefined> {
  const client = kmsRuntime.chain(kms.id, hashid);
  return client && readOnchainStatus(client, { appId, ...subject }).catch(() => undefined);
}
