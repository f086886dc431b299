import { sendPreparedTransaction } from "../chain/transactions/broadcast.ts";
import { findNonceTaker } from "../chain/transactions/find.ts";
import type { BatchEntry } from "../chain/transactions/journal.ts";
import type { TransactionHash } from "../core/ids.ts";
import { NonceTakenError } from "../errors/index.ts";
import type { BatchRun, BatchSettings } from "./batch-run.ts";
import { followTransaction } from "./follow-transaction.ts";

/**
 * Sees what earlier runs recorded to its end: the same bytes go out again, and their receipts are waited for. Signed
 * bytes whose nonce another mined transaction has used are given up, and their calls are open again. If a node or a
 * wallet signed, the run stops there: what it did in our name has to be looked at first.
 *
 * @throws NonceTakenError
 */
export async function settleJournal(run: BatchRun): Promise<void> {
  for (const entry of recordedBy(run.settings)) await settle(run, entry);
}

/** Gives up what can never be mined any more, and sends nothing. */
export async function giveUpReplaced(settings: JournalOwner & Pick<BatchSettings, "client">): Promise<void> {
  const { client, journal } = settings;
  for (const entry of recordedBy(settings)) {
    const taker = await findNonceTaker(client, entry.transaction);
    if (taker.kind === "mined") await journal.ended(entry, "replaced");
  }
}

type JournalOwner = Pick<BatchSettings, "account" | "chainId" | "journal">;

/** What is open of this account on this chain. */
export function recordedBy({ account, chainId, journal }: JournalOwner): readonly BatchEntry[] {
  return journal.open.filter(
    ({ transaction }) =>
      transaction.chainId === chainId && transaction.from.toLowerCase() === account.address.toLowerCase(),
  );
}

async function settle(run: BatchRun, entry: BatchEntry): Promise<void> {
  const { client, journal, onEvent } = run.settings;
  const { transaction, calls } = entry;
  let transactionHash: TransactionHash;
  try {
    transactionHash = await sendPreparedTransaction(client, transaction);
  } catch (error) {
    if (!(error instanceof NonceTakenError)) throw error;
    const { from, nonce } = transaction;
    const taker = error.taker ?? (await findNonceTaker(client, transaction));
    if (taker.kind !== "mined" && taker.kind !== "same") {
      throw new NonceTakenError(from, nonce, transaction.transactionHash, taker);
    }
    if (taker.kind === "mined") {
      await journal.ended(entry, "replaced");
      run.mark(calls, "notSent");
      if (transaction.rawTransaction !== undefined) return;
      throw new NonceTakenError(from, nonce, transaction.transactionHash, taker);
    }
    transactionHash = taker.transactionHash;
  }
  if (transaction.transactionHash === undefined) await journal.sent(entry, transactionHash);
  run.mark(calls, "pending", transactionHash);
  onEvent?.({ kind: "sent", transactionHash, calls, isFromRecord: true });
  const sent = { ...entry, transaction: { ...transaction, transactionHash } };
  await followTransaction(run, sent, { isFromRecord: true });
}
