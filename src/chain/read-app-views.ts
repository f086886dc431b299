import { type ContractFunctionReturnType, decodeFunctionResult, encodeFunctionData, type Hex, parseAbi } from "viem";
import { dstackAppAbi } from "../abi/index.ts";
import type { Generation } from "../core/generation.ts";
import type { AppId } from "../core/ids.ts";
import { ContractRevertedError } from "../errors/index.ts";
import { callMany } from "./call-many.ts";
import type { ChainClient } from "./chain-client.ts";
import { generationCalls, notLike, takeGeneration } from "./read-generation.ts";
import { requireCode } from "./require-code.ts";

const abi = [...dstackAppAbi, ...parseAbi(["function appId() view returns (address)"])] as const;

/** Views that apps deployed from older versions lack. */
type YoungerView = "pendingOwner" | "requireTcbUpToDate" | "version";
type MappingView = "allowedComposeHashes" | "allowedDeviceIds";
/** A view of v0.4.2 to v0.5.3 alone. */
type OldestView = "appId";
type AppView = YoungerView | OldestView | MappingView | "owner" | "allowAnyDevice";

const optionalViews: ReadonlySet<AppView> = new Set<YoungerView | OldestView>([
  "pendingOwner",
  "requireTcbUpToDate",
  "version",
  "appId",
]);

export type AppViewCall =
  | { readonly view: MappingView; readonly key: Hex }
  | { readonly view: Exclude<AppView, MappingView> };

export interface ReadAppViewsParameters {
  readonly appId: AppId;
  readonly calls: readonly AppViewCall[];
  readonly blockNumber?: bigint | undefined;
  readonly doing: string;
}

export interface ReadAppViewsReturnType {
  /** The block all answers belong to. */
  readonly blockNumber: bigint;
  /** Of a later one than the first, the views answer for app epoch 0 at most. */
  readonly generation: Generation;
  /** The answer of one of the views asked for; undefined only where the contract's release does not have it. */
  get<view extends AppView>(view: view): Answer<view> | (view extends YoungerView | OldestView ? undefined : never);
}

type Answer<view extends AppView> = ContractFunctionReturnType<typeof abi, "view" | "pure", view>;

/**
 * Asks an app several of its views at one block, in one request where the chain has Multicall3.
 *
 * @throws NoContractError, ContractRevertedError if the contract lacks a view every DstackApp has, RpcUnavailableError
 */
export async function readAppViews(
  client: ChainClient,
  { appId, calls, doing, ...parameters }: ReadAppViewsParameters,
): Promise<ReadAppViewsReturnType> {
  const { blockNumber, answers } = await callMany(client, {
    to: appId,
    abi,
    calls: [...calls.map(encode), ...generationCalls],
    blockNumber: parameters.blockNumber,
    doing,
  });
  const values = new Map<AppView, unknown>(calls.map(({ view }, index) => [view, decode(view, answers[index])]));
  const generation = takeGeneration(answers);
  for (const [view, value] of values) {
    if (value !== undefined || optionalViews.has(view)) continue;
    await requireCode(client, { address: appId, blockNumber });
    throw new ContractRevertedError({
      contract: appId,
      functionName: view,
      reason: notLike("a DstackApp", generation),
    });
  }
  return {
    blockNumber,
    generation,
    get: <view extends AppView>(view: view) => values.get(view) as Answer<view>, // decoded with this view's ABI item
  };
}

function encode(call: AppViewCall): Hex {
  return "key" in call
    ? encodeFunctionData({ abi, functionName: call.view, args: [call.key] })
    : encodeFunctionData({ abi, functionName: call.view });
}

function decode(view: AppView, data: Hex | undefined): unknown {
  if (data === undefined) return undefined;
  try {
    return decodeFunctionResult({ abi, functionName: view, data });
  } catch {
    return undefined;
  }
}
