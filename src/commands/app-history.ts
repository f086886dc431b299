import { dirname, join } from "node:path";
import type { Address } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { duringRpc } from "../chain/rpc-errors.ts";
import { readSenders } from "../chain/transactions/receipt.ts";
import type { AppId, TransactionHash } from "../core/ids.ts";
import { makeDirectory, makeOwnDirectory } from "../files/own-file.ts";
import type { History } from "../history/history.ts";
import type { ChangeOrigin } from "../history/policy.ts";
import { readHistory } from "../history/read-history.ts";
import { openHistoryStore } from "../history/store.ts";
import { createProgress } from "../report/output.ts";
import { parseBlockNumber } from "./arguments.ts";
import type { CommandHost } from "./host.ts";
import type { TaskIo } from "./run.ts";

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
  host: CommandHost,
  { client, appId }: { readonly client: ChainClient; readonly appId: AppId },
  args: HistoryArguments = {},
): Promise<History> {
  const fromBlock = args.fromBlock === undefined ? undefined : parseBlockNumber("--from-block", args.fromBlock);
  const path = args.store ?? join(host.cache, "dstack", "history.sqlite");
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

export interface Origin {
  readonly blockNumber: bigint;
  readonly transactionHash: TransactionHash;
  /** Of the block, ISO 8601. */
  readonly time: string;
  /**
   * Who made the change, where the contract recorded it; else who sent the transaction, perhaps for a Safe. Null if the
   * node no longer knows it.
   */
  readonly by: Address | null;
  readonly isRecorded: boolean;
}

/** When a change was made, and by whom, asking the node for what its event does not say. @throws RpcUnavailableError */
export async function readOrigin(client: ChainClient, change: ChangeOrigin): Promise<Origin> {
  const { blockNumber, transactionHash, timestamp, actor } = change;
  const readTime = () => duringRpc(client, "reading when", () => getBlock(client, { blockNumber }));
  const readSender = () => readSenders(client, { transactionHashes: [transactionHash] });
  const [seconds, by] = await Promise.all([
    timestamp ?? readTime().then((block) => block.timestamp),
    actor ?? readSender().then((senders) => senders.get(transactionHash) ?? null),
  ]);
  const time = new Date(Number(seconds) * 1000).toISOString();
  return { blockNumber, transactionHash, time, by, isRecorded: actor !== undefined };
}
