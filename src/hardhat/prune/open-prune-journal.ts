import { type BatchJournalFile, openBatchJournal } from "../../chain/transactions/journal.ts";
import { openTaskJournal } from "../batch/open-task-journal.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { prepareJournalPath } from "../journal-path.ts";

export interface PruneJournalArguments {
  /** File that remembers what was signed. */
  readonly journal?: string | undefined;
}

/**
 * Where the removals of one app are written down before they are sent. It is not the journal of all other tasks: they
 * finish whatever is on record, and a removal may only be finished after a look at what needs its hash by now.
 *
 * @throws JournalLockedError while another prune of the app runs, JournalCorruptError, RpcUnavailableError
 */
export async function openPruneJournal(
  app: ConnectedApp,
  { journal }: PruneJournalArguments,
): Promise<BatchJournalFile> {
  if (journal === undefined) return openTaskJournal(app, `prune-${app.appId}`);
  return openBatchJournal(await prepareJournalPath(app.root, journal, `prune-${app.appId}.jsonl`));
}
