import type { Account, Address, TransactionReceipt } from "viem";
import { parseAccount } from "viem/accounts";
import type { TransactionHash } from "../../core/ids.ts";
import { SignerRequiredError } from "../../errors/index.ts";
import { type ChainClient, parseAddress, requireSigningChain } from "../client.ts";
import { systemClock } from "../retry.ts";
import { type ChainIdentity, type FinalityTag, readChainIdentity } from "./chain-identity.ts";
import { type Ledger, memoryLedger } from "./ledger.ts";
import type { LedgerTransaction } from "./ledger-records.ts";
import { type ProcessOwner, startRun } from "./process-owner.ts";

/** What happens to transactions while a run sends them and waits for them. */
export type SenderEvent =
  | { readonly kind: "sent"; readonly transaction: LedgerTransaction; readonly isFromRecord: boolean }
  | {
      readonly kind: "mined";
      readonly transaction: LedgerTransaction;
      readonly receipt: TransactionReceipt;
      readonly isFromRecord: boolean;
    }
  /** Another transaction used the nonce, so the recorded one can never be mined. */
  | { readonly kind: "taken"; readonly transaction: LedgerTransaction; readonly by: TransactionHash }
  /** A reorganisation removed a mined transaction from the chain. It is sent again. */
  | { readonly kind: "dropped"; readonly transaction: LedgerTransaction }
  /** The base fee is above what the transaction pays at most, both in wei per gas. It waits. */
  | { readonly kind: "underpriced"; readonly transaction: LedgerTransaction; readonly baseFeePerGas: bigint }
  /** Another process has asked a node or a wallet for the transaction, and is waited for. */
  | { readonly kind: "waitingForOwner"; readonly transaction: LedgerTransaction }
  /** Everything is mined. The stage usually takes so long from then on. */
  | {
      readonly kind: "waitingForFinality";
      readonly tag: FinalityTag;
      readonly blockNumber: bigint;
      readonly typicalMs: number;
    }
  /** The block that the tag names has not changed for this long. */
  | { readonly kind: "tagStalled"; readonly tag: FinalityTag; readonly taggedBlock: bigint; readonly stalledMs: number }
  /** The endpoint does not know the tag. This time is waited for instead. */
  | { readonly kind: "tagUnknown"; readonly tag: FinalityTag; readonly waitMs: number }
  | { readonly kind: "final"; readonly tag: FinalityTag; readonly blockNumber: bigint };

export interface FollowSettings {
  /** Timeout for each transaction to be mined, in ms. */
  readonly timeoutMs: number;
  /** The longest pause between two looks, in ms. The first pauses are shorter. */
  readonly pollIntervalMs: number;
  readonly signal: AbortSignal | undefined;
  /**
   * Called before a node or a wallet is asked to sign what the ledger holds without signed bytes: nothing shows which
   * program wrote that. If it throws, nothing of it is sent. Without it the run stops there (UnsignedRecordError).
   */
  readonly confirmUnsigned: ((transaction: LedgerTransaction) => Promise<void> | void) | undefined;
  /** The mined transaction that used the nonce of a recorded one, as the caller found it elsewhere. */
  readonly transactionHash: TransactionHash | undefined;
  /**
   * Called if the base fee is above the highest price of a transaction. It may replace the transaction; it returns
   * whether it did. Without it, or if it did not, the transaction waits.
   */
  readonly onUnderpriced: ((transaction: LedgerTransaction, baseFeePerGas: bigint) => Promise<boolean>) | undefined;
  readonly onEvent: ((event: SenderEvent) => void) | undefined;
}

/** What one run needs to see transactions to their end. The run ends when it is disposed of. */
export interface FollowContext extends Disposable {
  readonly client: ChainClient;
  readonly ledger: Ledger;
  readonly identity: ChainIdentity;
  readonly account: Account;
  /** This run. */
  readonly owner: ProcessOwner;
  readonly settings: FollowSettings;
}

/** How a transaction ended. The receipt is absent where another transaction used the nonce. */
export interface Ended {
  readonly transaction: LedgerTransaction;
  readonly receipt: TransactionReceipt | undefined;
}

export interface OpenContextParameters extends Partial<FollowSettings> {
  readonly account?: Account | Address | undefined;
  readonly chainId?: number | undefined;
  readonly ledger?: Ledger | undefined;
}

/**
 * Begins a run.
 *
 * @param title what the account is needed for
 * @throws SignerRequiredError, InvalidHexError, WrongChainError, RpcUnavailableError
 */
export async function openContext(
  client: ChainClient,
  parameters: OpenContextParameters,
  title: string,
): Promise<FollowContext> {
  const account = accountOf(parameters.account ?? client.account, title);
  const chainId = await requireSigningChain(client, { account, chainId: parameters.chainId });
  const identity = await readChainIdentity(client, chainId);
  const { confirmUnsigned, transactionHash, onUnderpriced, onEvent, signal } = parameters;
  const { timeoutMs = 120_000, pollIntervalMs = client.pollingInterval, ledger = memoryLedger() } = parameters;
  const { owner, end } = startRun();
  return {
    ...{ client, ledger, identity, account, owner },
    settings: {
      ...{ timeoutMs, pollIntervalMs, signal, confirmUnsigned, transactionHash, onUnderpriced },
      onEvent: onEvent && lessOften(onEvent),
    },
    [Symbol.dispose]: end,
  };
}

const reminderMs = 30_000;

/** Tells of the wait for another process first, and then every 30 s. */
function lessOften(onEvent: (event: SenderEvent) => void): (event: SenderEvent) => void {
  const toldAt = new Map<number, number>();
  return (event) => {
    if (event.kind === "waitingForOwner") {
      const { id } = event.transaction;
      const now = systemClock.now();
      if (now - (toldAt.get(id) ?? Number.NEGATIVE_INFINITY) < reminderMs) return;
      toldAt.set(id, now);
    }
    onEvent(event);
  };
}

/** @throws SignerRequiredError, InvalidHexError */
export function accountOf(account: Account | Address | undefined, title: string): Account {
  if (account === undefined) throw new SignerRequiredError([title]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}
