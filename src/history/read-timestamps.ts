import type { ChainClient } from "../chain/client.ts";
import { RpcUnavailableError } from "../errors/index.ts";
import type { Patience } from "./pause.ts";
import { readBlock } from "./read-block.ts";

/** Blocks after which those read so far are handed over. */
const perBatch = 200;

export interface ReadTimestampsParameters extends Patience {
  readonly blocks: readonly bigint[];
  readonly concurrency: number;
  readonly onTimestamps: (timestamps: ReadonlyMap<bigint, bigint>) => void;
}

/**
 * Reads the times of some blocks, one request each, several at once.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readTimestamps(client: ChainClient, parameters: ReadTimestampsParameters): Promise<void> {
  const { blocks, concurrency, onTimestamps, ...patience } = parameters;
  for (let start = 0; start < blocks.length; start += perBatch) {
    const waiting = blocks.slice(start, start + perBatch).values();
    const timestamps = new Map<bigint, bigint>();
    const work = async () => {
      for (const number of waiting) {
        const block = await readBlock(client, number, patience);
        if (block === undefined)
          throw new RpcUnavailableError("reading the time of a block", { cause: new Error(`No block ${number}.`) });
        timestamps.set(number, block.timestamp);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    onTimestamps(timestamps);
  }
}
