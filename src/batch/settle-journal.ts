import { getTransactionCount } from "viem/actions";
import { readIsKnown } from "../chain/read-is-known.ts";
import { sendPreparedTransaction } from "../chain/send-prepared-transaction.ts";
import { duringRpc } from "../chain/translate-chain-error.ts";
import { NonceTakenError } from "../errors/index.ts";
import type { BatchEntry } from "./batch-journal.ts";
import type { BatchRun } from "./batch-run.ts";
import { followTransaction } from "./follow-transaction.ts";

/**
 * Sees what earlier runs recorded to its end: the same bytes go out again, and their receipts are waited for. A
 * transaction whose nonce something else has used is given up; its calls are open again.
 */
export async function settleJournal(run: BatchRun): Promise<void> {
  const { account, chainId, journal } = run.settings;
  const mine = journal.open.filter(
    ({ transaction }) =>
      transaction.chainId === chainId && transaction.from.toLowerCase() === account.address.toLowerCase(),
  );
  for (const entry of mine) await settle(run, entry);
}

async function settle(run: BatchRun, entry: BatchEntry): Promise<void> {
  const { client, journal, onEvent } = run.settings;
  const { transaction, calls } = entry;
  try {
    const transactionHash = await sendPreparedTransaction(client, transaction);
    run.mark(calls, "pending", transactionHash);
    onEvent?.({ kind: "sent", transactionHash, calls, isFromRecord: true });
    const sent = { ...entry, transaction: { ...transaction, transactionHash } };
    await followTransaction(run, sent, { isFromRecord: true });
  } catch (error) {
    if (!(error instanceof NonceTakenError) || !(await isReplaced(run, entry))) throw error;
    await journal.ended(entry, "replaced");
    run.mark(calls, "notSent");
  }
}

/** Whether a mined transaction has the nonce and it is not this one. */
async function isReplaced(run: BatchRun, { transaction }: BatchEntry): Promise<boolean> {
  const { client } = run.settings;
  const { from, nonce, transactionHash } = transaction;
  const used = await duringRpc("reading the nonce", () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return used > nonce && (transactionHash === undefined || !(await readIsKnown(client, transactionHash)));
}
