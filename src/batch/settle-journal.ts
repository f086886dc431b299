import { getTransactionCount } from "viem/actions";
import type { ChainClient } from "../chain/chain-client.ts";
import { readIsKnown } from "../chain/read-is-known.ts";
import { sendPreparedTransaction } from "../chain/send-prepared-transaction.ts";
import { duringRpc } from "../chain/translate-chain-error.ts";
import { NonceTakenError } from "../errors/index.ts";
import type { BatchEntry } from "./batch-journal.ts";
import type { BatchRun, BatchSettings } from "./batch-run.ts";
import { followTransaction } from "./follow-transaction.ts";

/**
 * Sees what earlier runs recorded to its end: the same bytes go out again, and their receipts are waited for. A
 * transaction whose nonce something else has used is given up; its calls are open again.
 */
export async function settleJournal(run: BatchRun): Promise<void> {
  for (const entry of recordedBy(run.settings)) await settle(run, entry);
}

/**
 * Gives up what can never be mined any more, and sends nothing. One whose hash a wallet never told may have been mined
 * under it, and stays.
 */
export async function giveUpReplaced(settings: JournalOwner & Pick<BatchSettings, "client">): Promise<void> {
  const { client, journal } = settings;
  for (const entry of recordedBy(settings)) {
    const isNamed = entry.transaction.transactionHash !== undefined;
    if (isNamed && (await isReplaced(client, entry))) await journal.ended(entry, "replaced");
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
  try {
    const transactionHash = await sendPreparedTransaction(client, transaction);
    run.mark(calls, "pending", transactionHash);
    onEvent?.({ kind: "sent", transactionHash, calls, isFromRecord: true });
    const sent = { ...entry, transaction: { ...transaction, transactionHash } };
    await followTransaction(run, sent, { isFromRecord: true });
  } catch (error) {
    if (!(error instanceof NonceTakenError) || !(await isReplaced(client, entry))) throw error;
    await journal.ended(entry, "replaced");
    run.mark(calls, "notSent");
  }
}

/** Whether a mined transaction has the nonce and it is not this one. */
async function isReplaced(client: ChainClient, { transaction }: BatchEntry): Promise<boolean> {
  const { from, nonce, transactionHash } = transaction;
  const used = await duringRpc("reading the nonce", () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return used > nonce && (transactionHash === undefined || !(await readIsKnown(client, transactionHash)));
}
