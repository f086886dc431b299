import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { ChainClient } from "../../chain/chain-client.ts";
import type { AppId } from "../../core/ids.ts";
import type { History } from "../../history/history.ts";
import { openHistoryStore } from "../../history/history-store.ts";
import { readHistory } from "../../history/read-history.ts";
import { createProgress } from "../../report/progress.ts";
import type { TaskIo } from "../connect/run-task.ts";

/**
 * An app's history, kept in the project's cache folder so that the next run reads only new blocks, with a progress bar
 * on a terminal.
 *
 * @throws what readHistory throws
 */
export async function readAppHistory(
  io: Pick<TaskIo, "stderr" | "signal">,
  { config }: Pick<HardhatRuntimeEnvironment, "config">,
  { client, appId }: { readonly client: ChainClient; readonly appId: AppId },
): Promise<History> {
  const directory = join(config.paths.cache, "dstack");
  await mkdir(directory, { recursive: true });
  const store = openHistoryStore(join(directory, "history.sqlite"));
  const progress = createProgress("Reading the history", io.stderr);
  try {
    return await readHistory(client, {
      appId,
      store,
      signal: io.signal,
      onProgress: ({ blocksRead, blocksTotal, phase }) =>
        progress.update(Number(blocksRead), Number(blocksTotal), phase),
    });
  } finally {
    progress.stop();
    store.close();
  }
}
