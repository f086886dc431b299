import { parseGwei } from "viem";
import { estimateMaxPriorityFeePerGas, getBlock } from "viem/actions";
import { ImplausibleAnswerError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/** The tip is the one part of the price an endpoint can make us pay by naming a wild number; wei per gas. */
export const highestTip = parseGwei("3");
/** Above every base fee a chain has seen, in wei per gas. */
const highestBaseFee = parseGwei("10000");

export interface ReadFeesReturnType {
  /**
   * Wei per gas. Room for the base fee to double before the transaction is mined. A base fee that the endpoint made up
   * costs nothing by itself: the block's own base fee is paid, which the chain's consensus decides, plus the tip.
   */
  readonly maxFeePerGas: bigint;
  /** Wei per gas, at most 3 gwei. */
  readonly maxPriorityFeePerGas: bigint;
}

/**
 * EIP-1559 fees for a transaction that may wait a while.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readFees(client: ChainClient): Promise<ReadFeesReturnType> {
  const [block, suggestedTip] = await duringRpc("reading the fees", () =>
    Promise.all([getBlock(client), estimateMaxPriorityFeePerGas(client)]),
  );
  const baseFee = block.baseFeePerGas ?? 0n;
  if (baseFee > highestBaseFee) {
    throw new ImplausibleAnswerError({ what: "the base fee in wei per gas", told: baseFee, most: highestBaseFee });
  }
  const isTame = suggestedTip <= highestTip;
  const maxPriorityFeePerGas = isTame ? suggestedTip : highestTip;
  return { maxFeePerGas: 2n * baseFee + maxPriorityFeePerGas, maxPriorityFeePerGas };
}
