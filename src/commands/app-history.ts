import { dirname, join } from "node:path";
import type { Address } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readSenders } from "../chain/transactions/receipt.ts";
import type { AppId, TransactionHash } from "../core/ids.ts";
import { makeDirectory, makeOwnDirectory } from "../files/own-file.ts";
import type { History } from "../history/history.ts";
import type { ChangeOrigin } from "../history/policy.ts";
import { readHistory } from "../history/read-history.ts";
import { openHistoryStore } from "../history/store.ts";
import { createProgress } from "../output/output.ts";
import { parseBlockNumber } from "./arguments.ts";
import type { CommandHost } from "./host.ts";
import type { TaskIo } from "./run.ts";

export interface HistoryArguments {
  /** File that stores what was read; `:memory:` stores nothing. @default a file in the project's cache folder */
  readonly store?: string | undefined;
  /** A block before the app's creation. */
  readonly fromBlock?: string | undefined;
}

/**
 * Reads an app's history with the time of each change, and shows a progress bar on a terminal. The store keeps it, so
 * that the next run reads only new blocks.
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
  /** Time of the block, ISO 8601. */
  readonly time: string;
  /**
   * The sender of the change, if the contract recorded it; otherwise the sender of the transaction, possibly on behalf
   * of a Safe. Null if the node no longer has the transaction.
   */
  readonly by: Address | null;
  readonly isRecorded: boolean;
}

/**
 * When a change was made, and by which address. Asks the node for what the event does not contain.
 *
 * @throws RpcUnavailableError
 */
export async function readOrigin(client: ChainClient, change: ChangeOrigin): Promise<Origin> {
  const { blockNumber, transactionHash, timestamp, actor } = change;
  const readTime = () => withRpcErrors(client, "reading when", () => getBlock(client, { blockNumber }));
  const readSender = () => readSenders(client, { transactionHashes: [transactionHash] });
  const [seconds, by] = await Promise.all([
    timestamp ?? readTime().then((block) => block.timestamp),
    actor ?? readSender().then((senders) => senders.get(transactionHash) ?? null),
  ]);
  const time = new Date(Number(seconds) * 1000).toISOString();
  return { blockNumber, transactionHash, time, by, isRecorded: actor !== undefined };
}
