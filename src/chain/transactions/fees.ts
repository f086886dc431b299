import { type Account, formatGwei, parseGwei } from "viem";
import { estimateMaxPriorityFeePerGas, getBlock } from "viem/actions";
import { ImplausibleAnswerError, InvalidArgumentError } from "../../errors/index.ts";
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

/** Fees that the user names. The limits on what an endpoint names do not apply to them. */
export interface NamedFees {
  /** Highest price per gas, in wei. @default twice the base fee of the latest block, plus the tip */
  readonly maxFeePerGas?: bigint | undefined;
  /** Part of it for the block builder, in wei per gas. @default what the endpoint suggests, at most 3 gwei */
  readonly maxPriorityFeePerGas?: bigint | undefined;
}

/**
 * Reads EIP-1559 fees for a transaction that may have to wait.
 *
 * @throws InvalidArgumentError if the named tip is above the named price
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readFees(client: ChainClient, named: NamedFees = {}): Promise<ReadFeesReturnType> {
  requireOrdered(named);
  const [baseFee, suggestedTip] = await Promise.all([
    readBaseFee(client),
    withRpcErrors(client, "reading the fees", () => estimateMaxPriorityFeePerGas(client)),
  ]);
  const tip = named.maxPriorityFeePerGas ?? least(suggestedTip, highestTip);
  const maxFeePerGas = named.maxFeePerGas ?? 2n * baseFee + tip;
  return { maxFeePerGas, maxPriorityFeePerGas: least(tip, maxFeePerGas) };
}

/** @throws InvalidArgumentError if the named tip is above the named price */
export function requireOrdered({ maxFeePerGas, maxPriorityFeePerGas }: NamedFees): void {
  if (maxFeePerGas === undefined || maxPriorityFeePerGas === undefined || maxPriorityFeePerGas <= maxFeePerGas) return;
  const [tip, most] = [formatGwei(maxPriorityFeePerGas), formatGwei(maxFeePerGas)];
  throw new InvalidArgumentError(`The priority fee, ${tip} gwei, is above the highest fee per gas, ${most} gwei.`, {
    nextStep: "The priority fee is a part of the fee per gas. Lower the first or raise the second.",
  });
}

/**
 * The highest tip that is signed, in wei per gas. A tip that the user names may be higher than the cap. The bytes that a
 * key in this process signs prove that later; a record without a signature must keep the cap.
 *
 * @throws InvalidArgumentError if a node or a wallet holds the key and the named tip is above the cap
 */
export function highestTipFor({ type }: Pick<Account, "type">, named: NamedFees, cap = highestTip): bigint {
  const tip = named.maxPriorityFeePerGas ?? 0n;
  if (tip <= cap) return cap;
  if (type === "local") return tip;
  throw new InvalidArgumentError(
    `A priority fee of ${formatGwei(tip)} gwei is above ${formatGwei(cap)} gwei, and a node or a wallet holds the key.`,
    { nextStep: "Nothing was sent. Name less with `maxPriorityFeePerGas`, or sign with the key itself." },
  );
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
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
  throw new ImplausibleAnswerError({ what: "the base fee in wei per gas", answer: baseFee, most: highestBaseFee });
}
