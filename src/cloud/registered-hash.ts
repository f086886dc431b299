import { type ComposeHash, type TransactionHash, withoutPrefix } from "../core/ids.ts";
import { type alreadyRegistered, headerNames } from "./protocol.ts";

/** Phase 2 of an update: the hash, and the transaction that allowed it. */
export interface RegisteredHash {
  readonly composeHash: ComposeHash;
  /** `already-registered` asks the cloud to check the contract's state alone, without a receipt. */
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

export function registrationHeaders({ composeHash, transactionHash }: RegisteredHash): Record<string, string> {
  return { [headerNames.composeHash]: withoutPrefix(composeHash), [headerNames.transactionHash]: transactionHash };
}

export function registrationFields({ composeHash, transactionHash }: RegisteredHash) {
  return { compose_hash: withoutPrefix(composeHash), transaction_hash: transactionHash };
}
