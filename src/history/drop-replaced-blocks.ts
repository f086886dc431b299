import type { ChainClient } from "../chain/client.ts";
import type { Patience } from "./pause.ts";
import { readBlock } from "./read-block.ts";
import type { HistoryScope } from "./store/history-scope.ts";

const newest = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Compares the newest block a store knows with the chain, and steps back in growing steps until both agree. What was
 * read above that is forgotten: a reorganisation replaced it, or it was another chain. Tells whether it was.
 *
 * @throws RpcUnavailableError, HistoryStoreError, the signal's reason
 */
export async function dropReplacedBlocks(
  client: ChainClient,
  scope: HistoryScope,
  patience: Patience,
): Promise<boolean> {
  let below = newest;
  for (let step = 1n; ; step *= 2n) {
    const known = scope.checkpointAtOrBelow(below);
    if (known === undefined) {
      // Even where nothing was read yet: another run may be about to keep what it reads of the replaced blocks.
      if (below !== newest) scope.forgetAbove(undefined);
      return below !== newest;
    }
    const actual = await readBlock(client, known.number, patience);
    if (actual?.hash === known.hash) {
      if (below !== newest) scope.forgetAbove(known.number);
      return below !== newest;
    }
    below = known.number - step;
  }
}
