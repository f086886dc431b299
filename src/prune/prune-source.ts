import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { ComposeHash } from "../core/ids.ts";
import type { PruneFacts } from "../core/prune/prune-facts.ts";
import type { History } from "../history/history.ts";
import { gatherPruneFacts } from "./gather-prune-facts.ts";

/** Where the facts about one app come from. Asked once for a plan and again for carrying it out. */
export interface PruneSource {
  readonly chain: ChainClient;
  /** Undefined where there is no API key. */
  readonly cloud: CloudClient | undefined;
  /** Whose generation counts beside the app's. */
  readonly kms?: Address | undefined;
  /**
   * Goes on where app or KMS approve per key epoch: only the list of app epoch 0 is looked at then, and it may not be
   * what governs.
   */
  readonly acceptKeyEpochs?: boolean | undefined;
  /** Reads the app's history up to now: readHistory, with whatever store it has. */
  readonly readHistory: () => Promise<History>;
  /** Proves that the history hides nothing; answers one sentence where it could not. Undefined: no proof is wanted. */
  readonly prove?: ((history: History) => Promise<string | undefined>) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads all facts about an app, everything anew.
 *
 * @param named hashes to look at even if no event tells of them
 * @throws what readHistory and gatherPruneFacts throw
 */
export async function readPruneFacts(source: PruneSource, named: readonly ComposeHash[] = []): Promise<PruneFacts> {
  const { readHistory, prove, ...sources } = source;
  const history = await readHistory();
  return gatherPruneFacts({ ...sources, history, named, proofProblem: await prove?.(history) });
}
