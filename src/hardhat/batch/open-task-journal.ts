import { join } from "node:path";
import { duringRpc } from "../../chain/rpc-errors.ts";
import { type BatchJournalFile, openBatchJournal } from "../../chain/transactions/journal.ts";
import { makeOwnDirectory } from "../../files/own-file.ts";
import type { ConnectedChain } from "../connect/connect-chain.ts";

/**
 * The journal in which a project's tasks keep what they have signed, one per chain. A local chain that was started anew
 * is another chain with the same id, and must not be sent what was meant for the last one: its first block tells.
 *
 * @param subject of the file's name, for tasks whose records nobody else may carry out
 * @throws JournalLockedError, JournalCorruptError, UnusableFileError, RpcUnavailableError
 */
export async function openTaskJournal(
  { client, chainId, root }: ConnectedChain,
  subject = "batch",
): Promise<BatchJournalFile> {
  const first = await duringRpc("reading the first block", () =>
    client.request({ method: "eth_getBlockByNumber", params: ["0x0", false] }),
  );
  const directory = join(root, ".dstack");
  await makeOwnDirectory(directory);
  return openBatchJournal(join(directory, `${subject}-${chainId}-${first?.hash?.slice(2, 10) ?? "unknown"}.jsonl`));
}
