import { dirname, join } from "node:path";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { ChainClient } from "../../chain/client.ts";
import type { AppId } from "../../core/ids.ts";
import { makeDirectory, makeOwnDirectory } from "../../files/own-file.ts";
import type { History } from "../../history/history.ts";
import { readHistory } from "../../history/read-history.ts";
import { openHistoryStore } from "../../history/store.ts";
import { createProgress } from "../../report/output.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { parseBlockNumber } from "./parse-block.ts";

export interface HistoryArguments {
  /** File that keeps what was read; `:memory:` keeps nothing. By default one in the project's cache folder. */
  readonly store?: string | undefined;
  /** A block before the app's creation. */
  readonly fromBlock?: string | undefined;
}

/**
 * An app's history with the time of each change, kept so that the next run reads only new blocks, with a progress bar
 * on a terminal.
 *
 * @throws InvalidArgumentError, and what readHistory throws
 */
export async function readAppHistory(
  io: Pick<TaskIo, "stderr" | "signal">,
  { config }: Pick<HardhatRuntimeEnvironment, "config">,
  { client, appId }: { readonly client: ChainClient; readonly appId: AppId },
  args: HistoryArguments = {},
): Promise<History> {
  const fromBlock = args.fromBlock === undefined ? undefined : parseBlockNumber("--from-block", args.fromBlock);
  const path = args.store ?? join(config.paths.cache, "dstack", "history.sqlite");
  if (path !== ":memory:") await (args.store === undefined ? makeOwnDirectory : makeDirectory)(dirname(path));
  const store = openHistoryStore(path);
  const progress = createProgress("Reading the history", io.stderr);
  try {
    return await readHistory(client, {
      appId,
      store,
      fromBlock,
      timestamps: true,
      signal: io.signal,
      onProgress: ({ phase, blocksRead, blocksTotal, logsRead }) => {
        if (phase === "reading") progress.update(Number(blocksRead), Number(blocksTotal), `${logsRead} events`);
      },
    });
  } finally {
    progress.stop();
    store.close();
  }
}
