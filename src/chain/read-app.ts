import {
  type Address,
  type ContractFunctionReturnType,
  decodeFunctionResult,
  encodeFunctionData,
  getAddress,
  type Hex,
  hexToBigInt,
  isAddressEqual,
  numberToHex,
  pad,
  parseAbi,
  size,
  slice,
  zeroAddress,
} from "viem";
import { type Generation, narrowApp } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import { ContractRevertedError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { callMany } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { readCode, readIsContract, requireCode } from "./code.ts";
import { generationCalls, notLike, takeGeneration } from "./generation.ts";
import { type ReadOwnerReturnType, readOwner } from "./read-owner.ts";
import { requestHex } from "./rpc-errors.ts";

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

/** ERC-1967: keccak256("eip1967.proxy.implementation") - 1. */
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
/** Byte 0 of this word is DstackApp's upgrades-disabled flag; it has no getter. Byte 1 is allowAnyDevice. */
const flagsSlot = 1;

export interface ReadAppSettingsParameters {
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadAppSettingsReturnType {
  readonly blockNumber: bigint;
  /** With the releases whose views the app has. */
  readonly generation: Generation;
  readonly allowAnyDevice: boolean;
  /** False for contracts too old to know the flag: they do not look at the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined for contracts too old to tell. */
  readonly version: bigint | undefined;
  /** Undefined if the app is not an ERC-1967 proxy. */
  readonly implementation: Address | undefined;
  /** Once true, true for good. */
  readonly upgradesDisabled: boolean;
  /**
   * What `appId()` answers, undefined for apps without it. Only apps of v0.4.2 to v0.5.3 have it. They keep it in slot
   * 0, so their policy lies one slot later than newer code looks, and an upgrade to newer code loses the policy.
   */
  readonly shiftedAppId: Address | undefined;
}

/**
 * Reads an app's switches and which code runs behind its proxy.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function readAppSettings(
  client: ChainClient,
  parameters: ReadAppSettingsParameters,
): Promise<ReadAppSettingsReturnType> {
  const doing = "reading the app's settings";
  const { blockNumber, generation, get } = await readAppViews(client, {
    ...parameters,
    calls: [
      { view: "allowAnyDevice" },
      { view: "requireTcbUpToDate" },
      { view: "version" },
      { view: "pendingOwner" },
      { view: "appId" },
    ],
    doing,
  });
  const at = numberToHex(blockNumber);
  const readWord = (slot: Hex) =>
    requestHex(client, doing, () =>
      client.request({ method: "eth_getStorageAt", params: [parameters.appId, slot, at] }),
    );
  const named = get("appId");
  const shiftedAppId = named === undefined || isAddressEqual(named, zeroAddress) ? undefined : named;
  const readFlags = async () => {
    const head = shiftedAppId === undefined ? "0x" : await readWord(numberToHex(0, { size: 32 }));
    // Another contract may have a view of this name and the later layout.
    const isShifted = shiftedAppId !== undefined && hexToBigInt(head) === hexToBigInt(shiftedAppId);
    return readWord(numberToHex(isShifted ? flagsSlot + 1 : flagsSlot, { size: 32 }));
  };
  const [implementation, flags] = await Promise.all([readWord(implementationSlot), readFlags()]);
  return {
    blockNumber,
    generation: narrowApp(generation, {
      hasTcbFlag: get("requireTcbUpToDate") !== undefined,
      isTwoStep: get("pendingOwner") !== undefined,
      isShifted: shiftedAppId !== undefined,
    }),
    allowAnyDevice: get("allowAnyDevice"),
    requireTcbUpToDate: get("requireTcbUpToDate") ?? false,
    version: get("version"),
    implementation: hexToBigInt(implementation) === 0n ? undefined : getAddress(slice(pad(implementation), -20)),
    upgradesDisabled: (hexToBigInt(flags) & 0xffn) !== 0n,
    shiftedAppId,
  };
}

export interface ReadAppStatusParameters {
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export type ReadAppStatusReturnType = { readonly blockNumber: bigint } & (
  | { readonly kind: "noCode" | "kms" }
  | ({ readonly kind: "app" } & AppStatus)
);

/** Who may change an app, and what its switches say. */
export interface AppStatus extends ReadAppSettingsReturnType {
  readonly owner: ReadOwnerReturnType;
  /** Undefined if nobody is invited to take over. */
  readonly pendingOwner: ReadOwnerReturnType | undefined;
  /** Whether a new owner must accept; contracts of the first versions change owner at once. */
  readonly isTwoStep: boolean;
}

/**
 * Reads what an address is and, if it is an app, everything about it but its lists, all at one block.
 *
 * @throws ContractRevertedError if it is neither app nor KMS, RpcUnavailableError
 */
export async function readAppStatus(
  client: ChainClient,
  { appId, ...parameters }: ReadAppStatusParameters,
): Promise<ReadAppStatusReturnType> {
  const { blockNumber, hasCode, isApp, isKms } = await readContractKind(client, { address: appId, ...parameters });
  if (!hasCode) return { kind: "noCode", blockNumber };
  if (!isApp && isKms) return { kind: "kms", blockNumber };
  const [settings, ownership] = await Promise.all([
    readAppSettings(client, { appId, blockNumber }),
    readOwnership(client, { appId, blockNumber }),
  ]);
  const describe = (address: Address) => readOwner(client, { address, blockNumber });
  const [owner, pendingOwner] = await Promise.all([
    describe(ownership.owner),
    ownership.pendingOwner === undefined ? undefined : describe(ownership.pendingOwner),
  ]);
  return { kind: "app", ...settings, owner, pendingOwner, isTwoStep: ownership.isTwoStep };
}

export interface ReadOwnershipParameters {
  /** An app, or any other ownable contract such as the KMS. */
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadOwnershipReturnType {
  readonly blockNumber: bigint;
  /** The zero address once ownership is renounced. */
  readonly owner: Address;
  /** Whether a transfer needs `acceptOwnership`; contracts of the first versions change owner at once. */
  readonly isTwoStep: boolean;
  /** Who may accept the ownership. Undefined if nobody is invited, and for one-step contracts. */
  readonly pendingOwner: Address | undefined;
  /** Whether the owner is a Safe, a timelock or another contract, for which no plain key can sign. */
  readonly ownerIsContract: boolean;
}

/**
 * Reads who owns an app and how its ownership moves.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function readOwnership(
  client: ChainClient,
  parameters: ReadOwnershipParameters,
): Promise<ReadOwnershipReturnType> {
  const { blockNumber, get } = await readAppViews(client, {
    ...parameters,
    calls: [{ view: "owner" }, { view: "pendingOwner" }],
    doing: "reading the app's owner",
  });
  const owner = get("owner");
  const pendingOwner = get("pendingOwner");
  return {
    blockNumber,
    owner,
    isTwoStep: pendingOwner !== undefined,
    pendingOwner: pendingOwner === undefined || isAddressEqual(pendingOwner, zeroAddress) ? undefined : pendingOwner,
    ownerIsContract: await readIsContract(client, { address: owner, blockNumber }),
  };
}

export interface ReadAllowlistParameters {
  readonly appId: AppId;
  readonly composeHash?: ComposeHash | undefined;
  readonly deviceId?: DeviceId | undefined;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** What an app's contract says about one hash and one device, all at one block. */
export interface ReadAllowlistReturnType {
  readonly blockNumber: bigint;
  /** On one with key epochs, the lists are those of app epoch 0 and may not be what governs. */
  readonly generation: Generation;
  readonly owner: Address;
  /** Undefined if nobody is invited to take over, or if the contract is too old for two-step transfers. */
  readonly pendingOwner: Address | undefined;
  readonly allowAnyDevice: boolean;
  /** False for contracts too old to know the flag: they do not look at the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined if no hash was asked for. */
  readonly composeHashAllowed: boolean | undefined;
  /** Whether the device itself is on the list. Undefined if no device was asked for. */
  readonly deviceListed: boolean | undefined;
  /** Whether the device may boot: listed, or any device may. Undefined if neither is known. */
  readonly deviceAllowed: boolean | undefined;
}

/**
 * Reads everything an update has to know about an app, in one request where the client's chain has Multicall3.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError; never "not allowed" for what could not be read
 */
export async function readAllowlist(
  client: ChainClient,
  { appId, composeHash, deviceId, blockNumber }: ReadAllowlistParameters,
): Promise<ReadAllowlistReturnType> {
  const calls: AppViewCall[] = [
    { view: "owner" },
    { view: "pendingOwner" },
    { view: "allowAnyDevice" },
    { view: "requireTcbUpToDate" },
  ];
  if (composeHash !== undefined) calls.push({ view: "allowedComposeHashes", key: composeHash });
  if (deviceId !== undefined) calls.push({ view: "allowedDeviceIds", key: deviceId });
  const views = await readAppViews(client, { appId, calls, blockNumber, doing: "reading the app's allowlist" });

  const pendingOwner = views.get("pendingOwner");
  const allowAnyDevice = views.get("allowAnyDevice");
  const deviceListed = deviceId === undefined ? undefined : views.get("allowedDeviceIds");
  return {
    blockNumber: views.blockNumber,
    generation: views.generation,
    owner: views.get("owner"),
    pendingOwner: pendingOwner === undefined || isAddressEqual(pendingOwner, zeroAddress) ? undefined : pendingOwner,
    allowAnyDevice,
    requireTcbUpToDate: views.get("requireTcbUpToDate") ?? false,
    composeHashAllowed: composeHash === undefined ? undefined : views.get("allowedComposeHashes"),
    deviceListed,
    deviceAllowed: allowAnyDevice || deviceListed,
  };
}

export interface ReadContractKindParameters {
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** What an address answers like. A contract can answer like an app or a KMS without being one, and like both. */
export interface ReadContractKindReturnType {
  readonly blockNumber: bigint;
  readonly hasCode: boolean;
  readonly isApp: boolean;
  readonly isKms: boolean;
  readonly generation: Generation;
}

/**
 * Tells apps, KMSs and mistaken addresses apart.
 *
 * @throws RpcUnavailableError
 */
export async function readContractKind(
  client: ChainClient,
  { address, ...parameters }: ReadContractKindParameters,
): Promise<ReadContractKindReturnType> {
  const { blockNumber, answers } = await callMany(client, {
    to: address,
    abi: dstackAppAbi,
    calls: [
      encodeFunctionData({ abi: dstackAppAbi, functionName: "allowAnyDevice" }),
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "appImplementation" }),
      ...generationCalls,
    ],
    blockNumber: parameters.blockNumber,
    doing: "reading what the address is",
  });
  const [isApp = false, isKms = false] = answers.slice(0, 2).map(isWord);
  const hasCode = isApp || isKms || (await readCode(client, { address, blockNumber })) !== "0x";
  return { blockNumber, hasCode, isApp, isKms, generation: takeGeneration(answers) };
}

/**
 * The generation of the KMS at an address that a configuration or the cloud names; undefined if no KMS is there. A KMS
 * with key epochs need not have the views of the first generation.
 *
 * @throws RpcUnavailableError
 */
export async function findKmsGeneration(
  client: ChainClient,
  kms: ReadContractKindParameters,
): Promise<Generation | undefined> {
  const { isKms, isApp, generation } = await readContractKind(client, kms);
  return isKms || (!isApp && generation.hasKeyEpochs === true) ? generation : undefined;
}

function isWord(data: Hex | undefined): boolean {
  return data !== undefined && size(data) === 32;
}
