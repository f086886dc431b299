import type { Account } from "viem";
import type { OwnerCall } from "../../core/owner-calls.ts";
import { UnsignedRecordError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { readChainIdentity } from "./chain-identity.ts";
import type { Ledger } from "./ledger.ts";
import { type BatchKey, type LedgerPurpose, type LedgerTransaction, lastAttempt } from "./ledger-records.ts";
import { isAtWork } from "./process-owner.ts";

/** What a command wants to do, as the ledger knows it. */
export interface Intention {
  readonly purpose: LedgerPurpose;
  /** In the order in which they are executed. */
  readonly calls: readonly OwnerCall[];
}

export interface ReadRecordedParameters extends Intention {
  readonly ledger: Ledger;
  readonly account: Account;
  readonly chainId: number;
}

export interface Recorded {
  /**
   * Transactions with calls of this command that are open, and the mined ones of an earlier run of the same command that
   * was not finished.
   */
  readonly own: readonly LedgerTransaction[];
  /** Open transactions of the signer that other commands left behind. They are sent first: their nonces are lower. */
  readonly others: readonly LedgerTransaction[];
}

/**
 * Reads what the ledger holds for a command. Sends nothing.
 *
 * @throws UnsignedRecordError if the key is in this process and an open record holds no signed bytes
 * @throws LedgerError, RpcUnavailableError
 */
export async function readRecorded(client: ChainClient, parameters: ReadRecordedParameters): Promise<Recorded> {
  const { ledger, account, chainId, purpose, calls } = parameters;
  const { chain } = await readChainIdentity(client, chainId);
  return findRecorded(ledger, { chain, signer: account.address, purpose, calls }, account);
}

export interface FindRecordedParameters extends Pick<Account, "type"> {
  /** Counts calls that another run has done from this time on, in ms. */
  readonly since?: number | undefined;
}

/** As `readRecorded`, for a key. */
export function findRecorded(
  ledger: Ledger,
  key: BatchKey,
  { type, since = Number.POSITIVE_INFINITY }: FindRecordedParameters,
): Recorded {
  const ofSigner = { chain: key.chain, signer: key.signer };
  const open = ledger.transactions({ ...ofSigner, states: ["open"] });
  // A key in this process never leaves a record without the bytes that it signed.
  const unsigned = type === "local" && open.find((one) => lastAttempt(one).rawTransaction === undefined);
  if (unsigned) throw new UnsignedRecordError({ ...unsigned, isKeyHere: true });
  const batch = ledger.findBatch(key);
  const states = ["open", "mined"] as const;
  const withCalls = { ...ofSigner, calls: key.calls, states };
  const found = [
    ...(batch === undefined ? [] : ledger.transactions({ batch: batch.id, states })),
    ...ledger.transactions({ ...withCalls, since }),
    // A prune plans anew each time, so it counts the removals of an unfinished one as its own, also if the plans differ.
    ...(key.purpose.kind === "prune" ? ledger.transactions({ ...withCalls, isUnfinished: true }).filter(isPrune) : []),
  ];
  const own = [...new Map(found.map((one) => [one.id, one])).values()];
  const isOther = (one: LedgerTransaction) =>
    !own.some(({ id }) => id === one.id) && !isAtWork(one.owner) && !isPrune(one);
  return { own, others: open.filter(isOther) };
}

function isPrune({ purpose }: LedgerTransaction): boolean {
  return purpose.kind === "prune";
}
