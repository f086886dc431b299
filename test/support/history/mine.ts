import type { NetworkConnection } from "hardhat/types/network";

/** Empty blocks. One at a time: EDR ends the process when an OP stack chain is to mine more than seven at once. */
export async function mineBlocks({ provider }: NetworkConnection, count: number): Promise<void> {
  for (let mined = 0; mined < count; mined += 1) await provider.request({ method: "evm_mine", params: [] });
}
