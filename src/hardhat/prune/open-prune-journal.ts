import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type BatchJournalFile, openBatchJournal } from "../../batch/open-batch-journal.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";

export interface PruneJournalArguments {
  /** File that remembers what was signed. */
  readonly journal?: string | undefined;
}

/**
 * Where the removals of one app are written down before they are sent. Each app has its own: finishing what a crash
 * cut short must not touch another app's transactions.
 *
 * @throws JournalLockedError while another prune of the app runs, JournalCorruptError
 */
export async function openPruneJournal(
  { config }: Pick<HardhatRuntimeEnvironment, "config">,
  { chainId, appId }: Pick<ConnectedApp, "chainId" | "appId">,
  { journal = join(".dstack", `prune-${chainId}-${appId}.jsonl`) }: PruneJournalArguments,
): Promise<BatchJournalFile> {
  const path = resolve(config.paths.root, journal);
  await mkdir(dirname(path), { recursive: true });
  return openBatchJournal(path);
}
