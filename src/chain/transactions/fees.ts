import { parseGwei } from "viem";
import { estimateMaxPriorityFeePerGas, getBlock } from "viem/actions";
import { ImplausibleAnswerError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { withRpcErrors } from "../rpc-errors.ts";

/** Highest tip, in wei per gas. The tip is the only part of the price that an endpoint can inflate. */
export const highestTip = parseGwei("3");
/** Highest tip of a replacement, in wei per gas. Each replacement must raise the tip of the one before it. */
export const highestReplacementTip = 4n * highestTip;
/** Higher than any base fee seen on a chain, in wei per gas. */
const highestBaseFee = parseGwei("10000");

export interface ReadFeesReturnType {
  /**
   * Wei per gas. Lets the base fee double before the transaction is mined. A base fee that the endpoint made up costs
   * nothing by itself: the transaction pays the block's own base fee, which the chain's consensus decides, plus the
   * tip.
   */
  readonly maxFeePerGas: bigint;
  /** Wei per gas, at most 3 gwei. */
  readonly maxPriorityFeePerGas: bigint;
}

/**
 * Reads EIP-1559 fees for a transaction that may have to wait.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readFees(client: ChainClient): Promise<ReadFeesReturnType> {
  const [baseFee, suggestedTip] = await Promise.all([
    readBaseFee(client),
    withRpcErrors(client, "reading the fees", () => estimateMaxPriorityFeePerGas(client)),
  ]);
  const isTame = suggestedTip <= highestTip;
  const maxPriorityFeePerGas = isTame ? suggestedTip : highestTip;
  return { maxFeePerGas: 2n * baseFee + maxPriorityFeePerGas, maxPriorityFeePerGas };
}

/**
 * Reads the base fee of the latest block, in wei per gas; zero on a chain without one.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readBaseFee(client: ChainClient): Promise<bigint> {
  const { baseFeePerGas } = await withRpcErrors(client, "reading the fees", () => getBlock(client));
  const baseFee = baseFeePerGas ?? 0n;
  if (baseFee <= highestBaseFee) return baseFee;
  throw new ImplausibleAnswerError({ what: "the base fee in wei per gas", told: baseFee, most: highestBaseFee });
}
