import type { Account, Address, TransactionReceipt } from "viem";
import type { FinalityTag } from "./chain-identity.ts";
import type { NamedFees } from "./fees.ts";
import type { FollowSettings } from "./follow-context.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerTransaction } from "./ledger-records.ts";
import type { PreparedTransaction } from "./prepare.ts";
import type { Intention } from "./recorded.ts";

/** Parameters of every action that sends transactions through a ledger. */
export interface SenderParameters extends Partial<FollowSettings>, NamedFees {
  /** The account that signs and pays. For a plain address, the node holds the key. @default the client's account */
  readonly account?: Account | Address | undefined;
  /** If the endpoint serves another chain, a WrongChainError is thrown. */
  readonly chainId?: number | undefined;
  /** Records every transaction before it is sent: see openLedger. @default a ledger in memory */
  readonly ledger?: Ledger | undefined;
  /** Called with the final (for a local account: signed) transaction before it is recorded. If it throws, nothing is sent. */
  readonly beforeSend?: ((prepared: PreparedTransaction) => Promise<void> | void) | undefined;
  /** Maximum number of pending transactions. @default 16, the number that every node keeps for one account */
  readonly window?: number | undefined;
  /**
   * The stage at which a transaction counts as done. @default "safe"; on a development chain "latest", the block that
   * holds it
   */
  readonly until?: FinalityTag | undefined;
  /** Timeout for that stage, in ms. @default four times the usual time */
  readonly finalityTimeoutMs?: number | undefined;
  /**
   * Usual time from a block to that stage, in ms. Endpoints that do not know the stage are waited for so long. @default
   * by chain: for `safe` 75 s on a rollup and 735 s on Ethereum, for `finalized` about 20 minutes
   */
  readonly typicalFinalityMs?: number | undefined;
}

export interface SenderIntention extends Intention {
  /** For the error message if there is no account. */
  readonly title: string;
  /** Whether the same transaction may be sent although another run has sent it. @default false */
  readonly mayRepeat?: boolean | undefined;
  /** Throws unless the receipt shows that the transaction did what it was for. @default each call's event */
  readonly prove?: ((receipt: TransactionReceipt, transaction: LedgerTransaction) => void) | undefined;
}

/** A transaction that this run sent or took up, with its state in the ledger. */
export interface SentTransaction {
  readonly transaction: LedgerTransaction;
  /** Absent while it is open, and for what an earlier run saw mined until `finish` has read it again. */
  readonly receipt: TransactionReceipt | undefined;
  /** Whether another run recorded it. */
  readonly isFromRecord: boolean;
  /** Whether this run has sent it, for the first time or again. */
  readonly isSent: boolean;
  /** Whether its receipt shows what it was for. */
  readonly isProven: boolean;
}

/** One run of a sender. */
export interface SenderRun {
  readonly parameters: SenderParameters;
  readonly intention: SenderIntention;
  /** When it began to look at what is on record, in ms. */
  readonly since: number;
}
