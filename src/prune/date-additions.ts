import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { duringRpc } from "../chain/rpc-errors.ts";
import type { ComposeHash } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import type { Addition } from "../core/prune/prune-facts.ts";
import type { PolicyChange } from "../history/policy.ts";

const requestsAtOnce = 8;

/**
 * When each hash was added last, even where it was allowed all along: an operator who adds a hash again means to use
 * it. A removed one has no date: should it be allowed all the same, it was added in an event nobody has read. Nodes
 * that send no time along with an event are asked for its block.
 *
 * @throws RpcUnavailableError
 */
export async function dateAdditions(
  client: ChainClient,
  changes: readonly PolicyChange[],
): Promise<ReadonlyMap<ComposeHash, Addition>> {
  const last = new Map<ComposeHash, PolicyChange>();
  for (const change of changes) {
    if (change.kind === "composeHashAdded") last.set(change.composeHash, change);
    if (change.kind === "composeHashRemoved") last.delete(change.composeHash);
  }
  const undated = [...last.values()].filter(({ timestamp }) => timestamp === undefined);
  const blockNumbers = [...new Set(undated.map(({ blockNumber }) => blockNumber))];
  const times = await mapLimited(
    blockNumbers,
    async (blockNumber) => {
      const block = await duringRpc("reading when a hash was added", () => getBlock(client, { blockNumber }));
      return [blockNumber, block.timestamp] as const;
    },
    { limit: requestsAtOnce },
  );
  const timeOf = new Map(times);
  return new Map(
    [...last].map(([hash, { blockNumber, logIndex, transactionHash, actor, timestamp }]) => [
      hash,
      {
        blockNumber,
        logIndex,
        transactionHash,
        by: actor,
        timestamp: timestamp ?? timeOf.get(blockNumber) ?? 0n,
      },
    ]),
  );
}
