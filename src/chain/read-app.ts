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
import { implementationSlot } from "../core/upgrade-rules.ts";
import { ContractRevertedError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { callMany } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { readCode, readIsContract, requireCode } from "./code.ts";
import { generationCalls, notLike, takeGeneration } from "./generation.ts";
import { type ReadOwnerReturnType, readOwner } from "./read-owner.ts";
import { requestHex } from "./rpc-errors.ts";

const abi = [...dstackAppAbi, ...parseAbi(["function appId() view returns (address)"])] as const;

/** Views that apps of older versions lack. */
type YoungerView = "pendingOwner" | "requireTcbUpToDate" | "version";
type MappingView = "allowedComposeHashes" | "allowedDeviceIds";
/** A view that only v0.4.2 to v0.5.3 have. */
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
  /** If it is later than the first generation, the views answer for app epoch 0 only, if at all. */
  readonly generation: Generation;
  /** Returns the answer of a requested view. Undefined only if the contract's release does not have the view. */
  get<view extends AppView>(view: view): Answer<view> | (view extends YoungerView | OldestView ? undefined : never);
}

type Answer<view extends AppView> = ContractFunctionReturnType<typeof abi, "view" | "pure", view>;

/**
 * Calls several views of an app at one block, in one request if the chain has Multicall3.
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

/** Byte 0 of this word is DstackApp's upgrades-disabled flag; it has no getter. Byte 1 is allowAnyDevice. */
const flagsSlot = 1;

export interface ReadAppSettingsParameters {
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadAppSettingsReturnType {
  readonly blockNumber: bigint;
  /** Narrowed to the releases that have the app's views. */
  readonly generation: Generation;
  readonly allowAnyDevice: boolean;
  /** False for contracts that are too old to have the flag: they do not check the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined for contracts without this view. */
  readonly version: bigint | undefined;
  /** Undefined if the app is not an ERC-1967 proxy. */
  readonly implementation: Address | undefined;
  /** Permanent once true. */
  readonly upgradesDisabled: boolean;
  /**
   * Return value of `appId()`; undefined for apps without it. Only apps of v0.4.2 to v0.5.3 have it. They store it in
   * slot 0, so their policy is one slot later than newer code expects. An upgrade to newer code therefore loses the
   * policy.
   */
  readonly shiftedAppId: Address | undefined;
}

/**
 * Reads an app's switches and the implementation behind its proxy.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 *
 * @example
 * import { readAppSettings } from "dstack-toolkit/chain";
 * import { appId, client } from "./app.js";
 * const { allowAnyDevice, implementation } = await readAppSettings(client, { appId });
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
    requestHex(client, doing, { method: "eth_getStorageAt", params: [parameters.appId, slot, at] });
  const named = get("appId");
  const shiftedAppId = named === undefined || isAddressEqual(named, zeroAddress) ? undefined : named;
  const readFlags = async () => {
    const head = shiftedAppId === undefined ? "0x0" : await readWord(numberToHex(0, { size: 32 }));
    // Another contract may have a view of this name but the later layout.
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

/** The owners and the settings of an app. */
export interface AppStatus extends ReadAppSettingsReturnType {
  readonly owner: ReadOwnerReturnType;
  /** The pending owner. Undefined if there is none. */
  readonly pendingOwner: ReadOwnerReturnType | undefined;
  /** Whether a new owner must accept. Contracts of the first versions change the owner immediately. */
  readonly isTwoStep: boolean;
}

/**
 * Reads the kind of contract at an address. If it is an app, also reads everything except its lists, all at one block.
 *
 * @throws ContractRevertedError if the contract is neither an app nor a KMS
 * @throws RpcUnavailableError
 *
 * @example
 * import { readAppStatus } from "dstack-toolkit/chain";
 * import { appId, client } from "./app.js";
 * const status = await readAppStatus(client, { appId });
 * if (status.kind === "app") console.log(status.owner.address);
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
  /** The zero address after the ownership was renounced. */
  readonly owner: Address;
  /** Whether a transfer needs `acceptOwnership`. Contracts of the first versions change the owner immediately. */
  readonly isTwoStep: boolean;
  /** The pending owner, who may accept the ownership. Undefined if there is none, and for one-step contracts. */
  readonly pendingOwner: Address | undefined;
  /** Whether the owner is a Safe, a timelock or another contract, so that no plain key can sign for it. */
  readonly ownerIsContract: boolean;
}

/**
 * Reads an app's owner and how ownership is transferred.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 *
 * @example
 * import { readOwnership } from "dstack-toolkit/chain";
 * import { appId, client } from "./app.js";
 * const { owner, pendingOwner } = await readOwnership(client, { appId });
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
  /** If the contract has key epochs, the lists are those of app epoch 0 and may not be the ones that decide. */
  readonly generation: Generation;
  readonly owner: Address;
  /** The pending owner. Undefined if there is none, or if the contract is too old for two-step transfers. */
  readonly pendingOwner: Address | undefined;
  readonly allowAnyDevice: boolean;
  /** False for contracts that are too old to have the flag: they do not check the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined if no hash was asked for. */
  readonly composeHashAllowed: boolean | undefined;
  /** Whether the device itself is on the list. Undefined if no device was asked for. */
  readonly deviceListed: boolean | undefined;
  /** Whether the device may boot: it is listed, or any device may boot. Undefined if neither is known. */
  readonly deviceAllowed: boolean | undefined;
}

/**
 * Reads everything that an update needs to know about an app, in one request if the client's chain has Multicall3.
 * Throws if a value cannot be read; never reports it as "not allowed".
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 *
 * @example
 * import { readAllowlist } from "dstack-toolkit/chain";
 * import { appId, client, composeHash } from "./app.js";
 * const { composeHashAllowed } = await readAllowlist(client, { appId, composeHash });
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

/**
 * The kind of contract that an address behaves like. A contract can behave like an app or a KMS, or both, without being
 * one.
 */
export interface ReadContractKindReturnType {
  readonly blockNumber: bigint;
  readonly hasCode: boolean;
  readonly isApp: boolean;
  readonly isKms: boolean;
  readonly generation: Generation;
}

/**
 * Tells whether an address is an app, a KMS or something else.
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
    doing: "reading what kind of contract the address has",
  });
  const [isApp = false, isKms = false] = answers.slice(0, 2).map(isWord);
  const hasCode = isApp || isKms || (await readCode(client, { address, blockNumber })) !== "0x";
  return { blockNumber, hasCode, isApp, isKms, generation: takeGeneration(answers) };
}

/**
 * Reads the generation of the KMS at an address from a configuration or the cloud. Returns undefined if there is no
 * KMS. A KMS with key epochs is recognised even if it lacks the views of the first generation.
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
