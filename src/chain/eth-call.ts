import { type Abi, type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "./chain-client.ts";
import { findRevert, type Revert } from "./find-revert.ts";
import { translateChainError } from "./translate-chain-error.ts";

export interface EthCallParameters {
  readonly to: Hex;
  readonly data: Hex;
  readonly from?: Hex | undefined;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
  /** Whose custom errors a refusal is decoded with. */
  readonly abi: Abi;
  /** For the error message: what the call is for, as in "reading the allowlist". */
  readonly doing: string;
}

export type EthCallReturnType =
  /** `0x` where there is no code. */
  { readonly data: Hex; readonly revert?: undefined } | { readonly data?: undefined; readonly revert: Revert };

/**
 * One plain `eth_call`. viem's own `call` would follow a contract's CCIP-read URLs and may merge calls into a
 * Multicall3 that is not there; a contract we only ask must decide neither.
 *
 * @throws RpcUnavailableError
 */
export async function ethCall(client: ChainClient, parameters: EthCallParameters): Promise<EthCallReturnType> {
  const { to, data, from, blockNumber, abi, doing } = parameters;
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  try {
    const answer: unknown = await client.request({ method: "eth_call", params: [{ from, to, data }, block] });
    if (isHex(answer)) return { data: answer };
    throw new Error("The endpoint's answer holds no result.");
  } catch (error) {
    const revert = findRevert(error, abi);
    if (revert === undefined) throw translateChainError(error, doing);
    return { revert };
  }
}
