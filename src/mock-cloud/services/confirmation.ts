import type { alreadyRegistered } from "../../cloud/protocol.ts";
import type { ComposeHash, TransactionHash } from "../../core/ids.ts";

/** Phase 2: the hash that the client registered, and the transaction that proves it. */
export interface Confirmation {
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}
