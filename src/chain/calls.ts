import {
  type Abi,
  decodeFunctionResult,
  encodeFunctionData,
  type Hex,
  hexToBigInt,
  isHex,
  multicall3Abi,
  numberToHex,
  parseAbi,
  size,
} from "viem";
import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "./client.ts";
import { findRevert, isResultOf, type Revert, translateChainError, withRpcErrors } from "./rpc-errors.ts";

export interface CallManyParameters {
  readonly to: Hex;
  /** Encoded calls of views of `to`. */
  readonly calls: readonly Hex[];
  readonly abi: Abi;
  readonly blockNumber?: bigint | undefined;
  readonly doing: string;
}

export interface CallManyReturnType {
  /** The block all answers belong to. */
  readonly blockNumber: bigint;
  /** One per call: the returned data, `0x` where there is no code, undefined if the call reverted. */
  readonly answers: readonly (Hex | undefined)[];
}

const blockNumberAbi = parseAbi(["function getBlockNumber() view returns (uint256)"]);

/**
 * Calls several views of one contract at one block. If the client's chain has a Multicall3 address, sends one request
 * through it; otherwise sends parallel calls pinned to one block. At an address without code (a fresh local chain, an
 * old block) the Multicall3 call succeeds and returns nothing. Therefore any incomplete answer leads to separate calls.
 *
 * @throws RpcUnavailableError
 */
export async function callMany(client: ChainClient, parameters: CallManyParameters): Promise<CallManyReturnType> {
  return (await callTogether(client, parameters)) ?? (await callOneByOne(client, parameters));
}

async function callTogether(
  client: ChainClient,
  { to, calls, blockNumber, doing }: CallManyParameters,
): Promise<CallManyReturnType | undefined> {
  const multicall3 = client.chain?.contracts?.multicall3?.address;
  if (multicall3 === undefined) return undefined;
  const batch = [
    ...calls.map((callData) => ({ target: to, allowFailure: true, callData })),
    { target: multicall3, allowFailure: false, callData: encodeFunctionData({ abi: blockNumberAbi }) },
  ];
  const data = encodeFunctionData({ abi: multicall3Abi, functionName: "aggregate3", args: [batch] });
  const answer = await ethCall(client, { to: multicall3, data, blockNumber, abi: multicall3Abi, doing });
  const results = answer.data === undefined ? undefined : decodeBatch(answer.data);
  const height = results?.at(-1)?.returnData;
  if (results?.length !== batch.length || height === undefined || size(height) !== 32) return undefined;
  return {
    blockNumber: hexToBigInt(height),
    answers: results.slice(0, -1).map(({ success, returnData }) => (success ? returnData : undefined)),
  };
}

function decodeBatch(data: Hex) {
  try {
    return decodeFunctionResult({ abi: multicall3Abi, functionName: "aggregate3", data });
  } catch {
    return undefined;
  }
}

async function callOneByOne(
  client: ChainClient,
  { to, calls, abi, doing, ...parameters }: CallManyParameters,
): Promise<CallManyReturnType> {
  const blockNumber =
    parameters.blockNumber ?? (await withRpcErrors(client, doing, () => getBlockNumber(client, { cacheTime: 0 })));
  const answers = await Promise.all(calls.map((data) => ethCall(client, { to, data, blockNumber, abi, doing })));
  return { blockNumber, answers: answers.map((answer) => answer.data) };
}

export interface EthCallParameters {
  readonly to: Hex;
  readonly data: Hex;
  readonly from?: Hex | undefined;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
  /** ABI that decodes the custom error of a revert. */
  readonly abi: Abi;
  /** Completes the error message "… while …", as in "reading the allowlist". */
  readonly doing: string;
}

export type EthCallReturnType =
  /** `0x` where there is no code. */
  { readonly data: Hex; readonly revert?: undefined } | { readonly data?: undefined; readonly revert: Revert };

/**
 * Sends one plain `eth_call`. viem's `call` would follow CCIP-read URLs that the contract chooses, and could merge
 * calls into a Multicall3 that does not exist.
 *
 * @throws RpcUnavailableError
 */
export async function ethCall(client: ChainClient, parameters: EthCallParameters): Promise<EthCallReturnType> {
  const { to, data, from, blockNumber, abi, doing } = parameters;
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  try {
    const answer: unknown = await client.request({ method: "eth_call", params: [{ from, to, data }, block] });
    if (isHex(answer) && isResultOf("eth_call", answer)) return { data: answer };
    throw new Error("The endpoint's answer contains no result.");
  } catch (error) {
    const revert = findRevert(client, error, abi);
    if (revert === undefined) throw translateChainError(client, error, doing);
    return { revert };
  }
}
