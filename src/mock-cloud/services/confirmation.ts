import type { alreadyRegistered } from "../../cloud/protocol.ts";
import type { ComposeHash, TransactionHash } from "../../core/ids.ts";

/** Phase 2: the hash that the client registered, and the transaction that proves it. */
export interface Confirmation {
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

/** Commits a prepared update or CVM. */
export interface TokenCommit {
  readonly token: string;
  /** @default the hash that was prepared */
  readonly composeHash: ComposeHash | undefined;
  /** @default none: only the contract's state is checked */
  readonly transactionHash: Confirmation["transactionHash"] | undefined;
}
