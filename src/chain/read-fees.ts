import { parseGwei } from "viem";
import { estimateMaxPriorityFeePerGas, getBlock } from "viem/actions";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/** The tip is the one part of the price an endpoint can make us pay by naming a wild number; wei per gas. */
const highestTip = parseGwei("3");

export interface ReadFeesReturnType {
  /** Wei per gas. Room for the base fee to double before the transaction is mined; only what it then is gets paid. */
  readonly maxFeePerGas: bigint;
  /** Wei per gas, at most 3 gwei. */
  readonly maxPriorityFeePerGas: bigint;
}

/**
 * EIP-1559 fees for a transaction that may wait a while.
 *
 * @throws RpcUnavailableError
 */
export async function readFees(client: ChainClient): Promise<ReadFeesReturnType> {
  const [block, suggestedTip] = await duringRpc("reading the fees", () =>
    Promise.all([getBlock(client), estimateMaxPriorityFeePerGas(client)]),
  );
  const isTame = suggestedTip <= highestTip;
  const maxPriorityFeePerGas = isTame ? suggestedTip : highestTip;
  return { maxFeePerGas: 2n * (block.baseFeePerGas ?? 0n) + maxPriorityFeePerGas, maxPriorityFeePerGas };
}
