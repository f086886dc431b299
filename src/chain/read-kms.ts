import {
  type Address,
  type ContractFunctionReturnType,
  decodeFunctionResult,
  encodeFunctionData,
  getAddress,
  type Hex,
  numberToHex,
  size,
  slice,
} from "viem";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import { type Generation, narrowKms } from "../core/generation.ts";
import { type AppId, parseAppId } from "../core/ids.ts";
import { ContractRevertedError, isDstackError } from "../errors/index.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { callMany, ethCall } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { requireCode } from "./code.ts";
import { generationCalls, notLike, takeGeneration } from "./generation.ts";
import { readOwnership } from "./read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "./read-owner.ts";
import { requestHex } from "./rpc-errors.ts";

/** ERC-1967: keccak256("eip1967.proxy.implementation") - 1. */
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

export interface ReadKmsStatusParameters {
  readonly kms: Address;
  /** OS images to check: the contract has no list of them. */
  readonly osImageHashes?: readonly Hex[] | undefined;
  /** Devices of KMS nodes to check. */
  readonly deviceIds?: readonly Hex[] | undefined;
  /** Aggregated measurements of KMS nodes to check. */
  readonly mrsAggregated?: readonly Hex[] | undefined;
}

export interface ReadKmsStatusReturnType {
  readonly blockNumber: bigint;
  /** Narrowed to the releases that have the KMS's views. */
  readonly generation: Generation;
  readonly owner: ReadOwnerReturnType;
  readonly pendingOwner: ReadOwnerReturnType | undefined;
  readonly isTwoStep: boolean;
  /** Undefined if the KMS is not an ERC-1967 proxy. */
  readonly implementation: Address | undefined;
  /** The implementation that its factory gives new apps. The zero address if none is set. */
  readonly appImplementation: Address;
  /** Undefined for contracts of the first version, where it has another name. */
  readonly gatewayAppId: string | undefined;
  /** Public part of the root key, as published by the KMS. `0x` if the KMS did not publish it. */
  readonly k256Pubkey: Hex;
  readonly osImages: readonly AskedValue[];
  readonly devices: readonly AskedValue[];
  readonly measurements: readonly AskedValue[];
}

export interface AskedValue {
  readonly value: Hex;
  /** Undefined if the contract has no such list, or gave no readable answer. */
  readonly isAllowed: boolean | undefined;
}

type ListView = "allowedOsImages" | "kmsAllowedDeviceIds" | "kmsAllowedAggregatedMrs";

/**
 * Reads a KMS's owner, its implementation for new apps, and whether it allows the given values, all at one block.
 *
 * @throws NoContractError
 * @throws ContractRevertedError if the contract is not a DstackKms
 * @throws RpcUnavailableError
 *
 * @example
 * import { readKmsStatus } from "dstack-toolkit/chain";
 * import { client, kms } from "./app.js";
 * const { owner, appImplementation } = await readKmsStatus(client, { kms });
 */
export async function readKmsStatus(
  client: ChainClient,
  { kms, osImageHashes = [], deviceIds = [], mrsAggregated = [] }: ReadKmsStatusParameters,
): Promise<ReadKmsStatusReturnType> {
  const asked = [
    ...osImageHashes.map((value) => ({ view: "allowedOsImages", value }) as const),
    ...deviceIds.map((value) => ({ view: "kmsAllowedDeviceIds", value }) as const),
    ...mrsAggregated.map((value) => ({ view: "kmsAllowedAggregatedMrs", value }) as const),
  ];
  const doing = "reading the KMS";
  const { blockNumber, answers } = await callMany(client, {
    to: kms,
    abi: dstackKmsAbi,
    calls: [
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "appImplementation" }),
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "gatewayAppId" }),
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "kmsInfo" }),
      ...asked.map(({ view, value }) => encodeFunctionData({ abi: dstackKmsAbi, functionName: view, args: [value] })),
      ...generationCalls,
    ],
    doing,
  });
  await requireCode(client, { address: kms, blockNumber });
  const [appImplementation, gatewayAppId, kmsInfo, ...flags] = answers;
  const generation = takeGeneration(answers);
  const info = decode("kmsInfo", kmsInfo);
  const implementationOfApps = decode("appImplementation", appImplementation);
  if (info === undefined || implementationOfApps === undefined) {
    const reason = notLike("a DstackKms", generation);
    throw new ContractRevertedError({ contract: kms, functionName: "appImplementation", reason });
  }
  const [ownership, implementation] = await Promise.all([
    readOwnership(client, { appId: parseAppId(kms), blockNumber }),
    readKmsImplementation(client, { kms, blockNumber }),
  ]);
  const describe = (address: Address) => readOwner(client, { address, blockNumber });
  const { owner, pendingOwner, isTwoStep } = ownership;
  const valuesOf = (view: ListView) =>
    asked.flatMap((one, index) =>
      one.view === view ? { value: one.value, isAllowed: decode(view, flags[index]) } : [],
    );
  return {
    blockNumber,
    generation: narrowKms(generation, { isTwoStep }),
    owner: await describe(owner),
    pendingOwner: pendingOwner === undefined ? undefined : await describe(pendingOwner),
    isTwoStep,
    implementation,
    appImplementation: implementationOfApps,
    gatewayAppId: decode("gatewayAppId", gatewayAppId),
    k256Pubkey: info[0],
    osImages: valuesOf("allowedOsImages"),
    devices: valuesOf("kmsAllowedDeviceIds"),
    measurements: valuesOf("kmsAllowedAggregatedMrs"),
  };
}

export interface ReadKmsImplementationParameters {
  readonly kms: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** Reads the code behind the proxy of a KMS. Undefined if it is no ERC-1967 proxy. @throws RpcUnavailableError */
export async function readKmsImplementation(
  client: ChainClient,
  { kms, blockNumber }: ReadKmsImplementationParameters,
): Promise<Address | undefined> {
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  const word = await requestHex(client, "reading the implementation of the KMS", {
    method: "eth_getStorageAt",
    params: [kms, implementationSlot, block],
  });
  return size(word) === 32 && BigInt(word) !== 0n ? getAddress(slice(word, 12)) : undefined;
}

export interface ReadIsRegisteredParameters {
  readonly kms: Address;
  readonly appId: AppId;
}

/** Whether an app is registered at a KMS. False if the contract does not tell. @throws RpcUnavailableError */
export async function readIsRegistered(
  client: ChainClient,
  { kms, appId }: ReadIsRegisteredParameters,
): Promise<boolean> {
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "registeredApps", args: [appId] });
  const answer = await ethCall(client, { to: kms, data, abi: dstackKmsAbi, doing: "reading the apps of the KMS" });
  return decode("registeredApps", answer.data) === true;
}

type View = "appImplementation" | "registeredApps" | "gatewayAppId" | "kmsInfo" | ListView;

function decode<view extends View>(
  functionName: view,
  data: Hex | undefined,
): ContractFunctionReturnType<typeof dstackKmsAbi, "view", view> | undefined {
  if (data === undefined) return undefined;
  try {
    // viem decodes with this view's ABI item, but its return type no longer shows which view it was.
    return decodeFunctionResult({
      abi: dstackKmsAbi,
      functionName: functionName as View,
      data,
    }) as ContractFunctionReturnType<typeof dstackKmsAbi, "view", view>;
  } catch {
    return undefined;
  }
}

export interface ReadKmsPublicKeyParameters {
  readonly kms: Address;
}

/**
 * Reads the secp256k1 key that a KMS publishes on its contract (`kmsInfo().k256Pubkey`). This key signs the encryption
 * keys of the KMS's apps. Returns the compressed form, or undefined if none is published.
 *
 * The answer is only as trustworthy as the address and the endpoint. Take the address from your own configuration, and
 * pin the key if the endpoint may cooperate with the cloud.
 *
 * @throws NoContractError
 * @throws ContractRevertedError if the contract is not a DstackKms, or publishes a value that is not a key of the curve
 * @throws RpcUnavailableError
 *
 * @example
 * import { readKmsPublicKey } from "dstack-toolkit/chain";
 * import { client, kms } from "./app.js";
 * const publicKey = await readKmsPublicKey(client, { kms });
 */
export async function readKmsPublicKey(
  client: ChainClient,
  { kms }: ReadKmsPublicKeyParameters,
): Promise<Hex | undefined> {
  const call = { abi: dstackKmsAbi, functionName: "kmsInfo" } as const;
  const { data = "0x" } = await ethCall(client, {
    to: kms,
    data: encodeFunctionData(call),
    abi: dstackKmsAbi,
    doing: "reading the KMS's public key",
  });
  if (data === "0x") await requireCode(client, { address: kms });
  const published = decodeKmsInfo(data);
  if (published === undefined) throw unreadable(kms, "it does not answer like a DstackKms");
  if (published === "0x") return undefined;
  try {
    return parseKmsPublicKey(published);
  } catch (error) {
    if (isDstackError(error)) throw unreadable(kms, "the key that it publishes is not a secp256k1 key");
    throw error;
  }
}

function decodeKmsInfo(data: Hex): Hex | undefined {
  try {
    return decodeFunctionResult({ abi: dstackKmsAbi, functionName: "kmsInfo", data })[0];
  } catch {
    return undefined;
  }
}

function unreadable(kms: Address, reason: string): ContractRevertedError {
  return new ContractRevertedError({ contract: kms, functionName: "kmsInfo", reason });
}

export interface ReadAppImplementationParameters {
  readonly kms: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * Reads the implementation that the factory of a KMS gives new apps. The zero address if none is set.
 *
 * @throws NoContractError
 * @throws ContractRevertedError if the contract is not a DstackKms
 * @throws RpcUnavailableError
 */
export async function readAppImplementation(
  client: ChainClient,
  { kms, blockNumber }: ReadAppImplementationParameters,
): Promise<Address> {
  const call = { abi: dstackKmsAbi, functionName: "appImplementation" } as const;
  const { data = "0x" } = await ethCall(client, {
    to: kms,
    data: encodeFunctionData(call),
    blockNumber,
    abi: dstackKmsAbi,
    doing: "reading the KMS",
  });
  if (data.length === 66) return decodeFunctionResult({ ...call, data });
  await requireCode(client, { address: kms, blockNumber });
  const reason = "it does not answer like a DstackKms";
  throw new ContractRevertedError({ contract: kms, functionName: call.functionName, reason });
}
