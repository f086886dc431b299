import type { AppId, ComposeHash, DeviceId } from "../../core/ids.ts";
import type { Kms } from "../store/platform.ts";
import { type OnchainStatus, readOnchainStatus } from "../verification/read-onchain-status.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/** What the app's contract allows right now; undefined off chain, and when the chain gives no answer. */
export async function tryOnchainStatus(
  kmsRuntime: KmsRuntime,
  kms: Kms,
  subject: { readonly appId: AppId; readonly composeHash: ComposeHash; readonly deviceId: DeviceId },
): Promise<OnchainStatus | undefined> {
  const client = kmsRuntime.chain(kms.id);
  return client && readOnchainStatus(client, subject).catch(() => undefined);
}
