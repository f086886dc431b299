import type { ChainClient } from "../chain/client.ts";
import { RpcUnavailableError } from "../errors/index.ts";
import type { PinnedBlock } from "./history.ts";
import { readBlock } from "./read-block.ts";

export interface FindBlockAtParameters {
  /** Seconds since 1970. */
  readonly timestamp: bigint;
  readonly signal?: AbortSignal | undefined;
  /** First pause after a fault, doubled each time. @default 250 */
  readonly retryDelayMs?: number | undefined;
}

/**
 * The block a chain was at, at some time: the newest one not younger than that. Undefined if the chain is younger.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function findBlockAt(
  client: ChainClient,
  { timestamp, retryDelayMs = 250, signal }: FindBlockAtParameters,
): Promise<PinnedBlock | undefined> {
  const read = async (number: bigint | "latest") => {
    const block = await readBlock(client, number, { retryDelayMs, signal });
    if (block !== undefined) return block;
    throw new RpcUnavailableError("looking for a block by its time", { cause: new Error(`No block ${number}.`) });
  };
  let after = await read("latest");
  if (after.timestamp <= timestamp) return after;
  let found = await read(0n);
  if (found.timestamp > timestamp) return undefined;
  while (after.number - found.number > 1n) {
    const middle = await read((found.number + after.number) / 2n);
    if (middle.timestamp <= timestamp) found = middle;
    else after = middle;
  }
  return found;
}
