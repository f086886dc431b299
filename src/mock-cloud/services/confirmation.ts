import type { alreadyRegistered } from "../../cloud/protocol.ts";
import type { ComposeHash, TransactionHash } from "../../core/ids.ts";

/** Phase 2: the hash a client says is registered, and what proves it. */
export interface Confirmation {
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}
