import { advanceChain } from "./chain/advance-chain.ts";
import { ChainSnapshots } from "./chain/chain-snapshots.ts";
import type { LocalChainClient } from "./chain/local-chain-client.ts";
import type { WorldCloudOptions } from "./start-cloud.ts";

/** Whoever moves the cloud in time, by method or by admin endpoint, moves the chain too. */
export function inStepWith(client: LocalChainClient, options: WorldCloudOptions): WorldCloudOptions {
  const snapshots = new ChainSnapshots(client);
  return {
    ...options,
    onAdvance: async (milliseconds) => {
      await advanceChain(client, milliseconds);
      await options.onAdvance?.(milliseconds);
    },
    onSnapshot: async (name) => {
      await snapshots.take(name);
      await options.onSnapshot?.(name);
    },
    onRestore: async (name) => {
      await snapshots.restore(name);
      await options.onRestore?.(name);
    },
  };
}
