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

/** As `readRecorded`, for a key. */
export function findRecorded(ledger: Ledger, key: BatchKey, { type }: Pick<Account, "type">): Recorded {
  const ofSigner = { chain: key.chain, signer: key.signer };
  const open = ledger.transactions({ ...ofSigner, states: ["open"] });
  // A key in this process never leaves a record without the bytes that it signed.
  const unsigned = type === "local" && open.find((one) => lastAttempt(one).rawTransaction === undefined);
  if (unsigned) throw new UnsignedRecordError({ ...unsigned, isKeyHere: true });
  const batch = ledger.findBatch(key);
  const ofBatch = batch === undefined ? [] : ledger.transactions({ batch: batch.id, states: ["open", "mined"] });
  const withCalls = { ...ofSigner, calls: key.calls, states: ["open", "mined"] } as const;
  // A prune plans anew each time, so it counts the removals of an unfinished one as its own, also if the plans differ.
  const isCarrying = ({ state, purpose }: LedgerTransaction) =>
    state === "open" || (purpose.kind === "prune" && key.purpose.kind === "prune");
  const carrying = ledger.transactions({ ...withCalls, isUnfinished: true }).filter(isCarrying);
  const own = [...ofBatch, ...carrying.filter(({ id }) => !ofBatch.some((one) => one.id === id))];
  const isOther = ({ id, owner, purpose }: LedgerTransaction) =>
    !own.some((one) => one.id === id) && !isAtWork(owner) && purpose.kind !== "prune";
  return { own, others: open.filter(isOther) };
}
