import type { ComposeHash } from "../../core/ids.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { preparedStateOf } from "./prepared-updates.ts";
import { pendingLifetimeMs } from "./updates.ts";

/** A document that waits for the registration of its hash, and could still be confirmed or committed. */
export interface PendingDocument {
  /** `instance`: of a further CVM that was prepared from this one. */
  readonly kind: "update" | "instance";
  readonly composeHash: ComposeHash;
  readonly composeText: string;
  readonly hasCommitToken: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** What waits for this hash because of this CVM: its own update before anything prepared from it. */
export function findPendingDocument(
  store: Store,
  cvm: Cvm,
  composeHash: ComposeHash,
  now: number,
): PendingDocument | undefined {
  const update = store.pendingUpdates.find(cvm.id, composeHash);
  if (update && preparedStateOf(update, cvm, now) === "pending") {
    return { ...update, kind: "update", hasCommitToken: update.tokenHash !== null };
  }
  const instance = store.preparedInstances.newestFrom(cvm.id, composeHash);
  if (!instance || instance.cvmId !== null || now >= instance.expiresAt) return undefined;
  const createdAt = instance.expiresAt - pendingLifetimeMs;
  return { ...instance, kind: "instance", hasCommitToken: true, createdAt };
}
