import type { LocalChainClient } from "./local-chain-client.ts";

/** Puts the chain's clock ahead, by whole seconds, and mines a block so that it shows. */
export async function advanceChain(client: LocalChainClient, milliseconds: number): Promise<void> {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds === 0) return;
  await client.increaseTime({ seconds });
  await client.mine({ blocks: 1 });
}
