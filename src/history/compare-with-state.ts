import { type Address, concat, decodeFunctionResult, isAddressEqual, toFunctionSelector } from "viem";
import { callMany } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import { type ReadAppSettingsReturnType, readAllowlist, readAppSettings } from "../chain/read-app.ts";
import { type RetryOptions, withRpcRetry } from "../chain/retry.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { ContractRevertedError, isDstackError } from "../errors/index.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { IncompletenessReason } from "./history.ts";
import { allowedAt, type InitialFlags, type PolicyChange, type PolicyChangeKind, recordedValues } from "./policy.ts";

export interface CompareWithStateParameters extends RetryOptions {
  readonly appId: AppId;
  readonly blockNumber: bigint;
  readonly changes: readonly PolicyChange[];
  readonly initialFlags: InitialFlags;
}

/**
 * Replays an app's changes and reports where the contract's state at that block differs. It compares every hash and
 * device that an event named, the flags, the owners and the implementation.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError, the signal's reason
 */
export async function compareWithState(
  client: ChainClient,
  { appId, blockNumber, changes, initialFlags, ...retry }: CompareWithStateParameters,
): Promise<IncompletenessReason[]> {
  const expected = allowedAt(changes, blockNumber, initialFlags);
  const doing = "comparing the history with the contract";
  const owners = await withRpcRetry(client, retry, doing, () => readAllowlist(client, { appId, blockNumber }));
  const settings = await withRpcRetry(client, retry, doing, () => readAppSettings(client, { appId, blockNumber }));
  const recorded = recordedValues(changes);
  const everNamed = <key extends Hex>(keyOf: (change: PolicyChange) => key | undefined, others: readonly key[]) => [
    ...new Set([...changes.map(keyOf).filter((key) => key !== undefined), ...others]),
  ];
  const composeHashes = everNamed(
    (change) => ("composeHash" in change ? change.composeHash : undefined),
    recorded.composeHashes,
  );
  const devices = everNamed((change) => ("deviceId" in change ? change.deviceId : undefined), recorded.devices);
  const at = { appId, blockNumber, ...retry };
  const allowedHashes = await readAllowedKeys(client, { ...at, view: "allowedComposeHashes", keys: composeHashes });
  const allowedDevices = await readAllowedKeys(client, { ...at, view: "allowedDeviceIds", keys: devices });

  const reasons: IncompletenessReason[] = [
    ...differingHashes(composeHashes, { byEvents: expected.composeHashes, onChain: allowedHashes }),
    ...differingDevices(devices, { byEvents: expected.devices, onChain: allowedDevices }),
  ];
  for (const flag of ["allowAnyDevice", "requireTcbUpToDate", "upgradesDisabled"] as const) {
    const byEvents = expected[flag];
    const onChain = settings[flag];
    if (byEvents === undefined || byEvents === onChain) continue;
    const message = `The contract's ${flag} is ${onChain}, but according to the events that were read it is ${byEvents}.`;
    reasons.push({ kind: "flagDiffers", flag, byEvents, onChain, message });
  }
  const addresses = { owner: owners.owner, pendingOwner: owners.pendingOwner, implementation: settings.implementation };
  for (const what of ["owner", "pendingOwner", "implementation"] as const) {
    const byEvents = expected[what];
    const onChain = addresses[what];
    if (isSame(byEvents, onChain)) continue;
    const message = `The contract's ${what} is ${onChain ?? "none"}, but according to the events that were read it is ${byEvents ?? "none"}.`;
    reasons.push({ kind: "addressDiffers", what, byEvents, onChain, message });
  }
  return reasons;
}

/** What is allowed according to the events, and according to the contract. */
interface Sides<key> {
  readonly byEvents: { has(value: key): boolean };
  readonly onChain: { has(value: key): boolean };
}

/** One reason for each hash about which the events and the contract differ. */
export function differingHashes(keys: readonly ComposeHash[], sides: Sides<ComposeHash>): IncompletenessReason[] {
  return differing("compose hash", keys, sides).map(({ key, ...rest }) => ({
    kind: "composeHashDiffers",
    composeHash: key,
    ...rest,
  }));
}

/** One reason for each device about which the events and the contract differ. */
export function differingDevices(keys: readonly DeviceId[], sides: Sides<DeviceId>): IncompletenessReason[] {
  return differing("device", keys, sides).map(({ key, ...rest }) => ({
    kind: "deviceDiffers",
    deviceId: key,
    ...rest,
  }));
}

function differing<key extends Hex>(what: string, keys: readonly key[], sides: Sides<key>) {
  return keys.flatMap((key) => {
    const [byEvents, onChain] = [sides.byEvents.has(key), sides.onChain.has(key)];
    if (byEvents === onChain) return [];
    const message = onChain
      ? `The contract allows ${what} ${key}, but the events that were read do not.`
      : `The contract does not allow ${what} ${key}, but the events that were read do.`;
    return { key, byEvents, onChain, message };
  });
}

function isSame(one: Address | undefined, other: Address | undefined): boolean {
  return one === undefined || other === undefined ? one === other : isAddressEqual(one, other);
}

/** Views per request if Multicall3 batches them; each uses 10,000 gas. */
const togetherAtMost = 400;
/** Parallel requests if it does not. */
const apartAtMost = 16;
// There may be ten thousand keys. The encoder would hash the view's signature for each of them.
const selectors = {
  allowedComposeHashes: toFunctionSelector("function allowedComposeHashes(bytes32)"),
  allowedDeviceIds: toFunctionSelector("function allowedDeviceIds(bytes32)"),
};
/** Requests for chunks that run in parallel. */
const chunksAtOnce = 4;
/** A request with at most this many calls is not split further. */
const fewCalls = 16;

export interface ReadAllowedKeysParameters<key extends Hex> extends RetryOptions {
  readonly appId: AppId;
  readonly view: "allowedComposeHashes" | "allowedDeviceIds";
  readonly keys: readonly key[];
  readonly blockNumber: bigint;
}

/**
 * Returns the hashes or devices of `keys` that a contract allows at one block.
 *
 * @throws ContractRevertedError, RpcUnavailableError, the signal's reason
 */
export async function readAllowedKeys<key extends Hex>(
  client: ChainClient,
  parameters: ReadAllowedKeysParameters<key>,
): Promise<Set<key>> {
  const { keys } = parameters;
  const atMost = client.chain?.contracts?.multicall3 === undefined ? apartAtMost : togetherAtMost;
  const chunks = Array.from({ length: Math.ceil(keys.length / atMost) }, (_, index) =>
    keys.slice(index * atMost, (index + 1) * atMost),
  );
  const allowed = await mapLimited(chunks, (chunk) => readChunk(client, parameters, chunk), {
    limit: atMost === togetherAtMost ? chunksAtOnce : 1,
  });
  return new Set(allowed.flat());
}

async function readChunk<key extends Hex>(
  client: ChainClient,
  parameters: ReadAllowedKeysParameters<key>,
  keys: readonly key[],
): Promise<key[]> {
  const { appId, view, blockNumber, signal } = parameters;
  const doing = "comparing the history with the contract";
  signal?.throwIfAborted();
  const read = () =>
    callMany(client, {
      to: appId,
      abi: dstackAppAbi,
      calls: keys.map((key) => concat([selectors[view], key])),
      blockNumber,
      doing,
    });
  try {
    const { answers } = keys.length > fewCalls ? await read() : await withRpcRetry(client, parameters, doing, read);
    return keys.filter((_, index) => isTrue(answers[index], { appId, view }));
  } catch (error) {
    if (!isDstackError(error) || !error.retryable || keys.length <= fewCalls) throw error;
    const half = Math.ceil(keys.length / 2);
    const first = await readChunk(client, parameters, keys.slice(0, half));
    return [...first, ...(await readChunk(client, parameters, keys.slice(half)))];
  }
}

type View = Pick<ReadAllowedKeysParameters<Hex>, "appId" | "view">;

function isTrue(data: Hex | undefined, { appId, view }: View): boolean {
  try {
    return decodeFunctionResult({ abi: dstackAppAbi, functionName: view, data: data ?? "0x" });
  } catch (cause) {
    const reason = "it does not answer like a DstackApp";
    throw new ContractRevertedError({ contract: appId, functionName: view, reason }, { cause });
  }
}

const triesOfState = 6;
/** Most endpoints refuse old state because they do not keep it. A temporary error usually ends within three tries. */
const triesOfOldState = 3;

export interface ReadInitialFlagsParameters extends RetryOptions {
  readonly appId: AppId;
  readonly createdInBlock: bigint;
  /** The last block that `changes` covers. */
  readonly toBlock: bigint;
  readonly changes: readonly PolicyChange[];
}

/**
 * The flags an app was created with, read from the state of that block. If the endpoint does not serve that state, a
 * flag without any event still has its initial value. A flag is undefined if neither source gives it.
 *
 * @throws the signal's reason
 */
export async function readInitialFlags(
  client: ChainClient,
  { appId, createdInBlock, toBlock, changes, ...retry }: ReadInitialFlagsParameters,
): Promise<InitialFlags> {
  const atCreation = await readSettings(createdInBlock, triesOfOldState);
  const settings = atCreation ?? (await readSettings(toBlock, triesOfState));
  const until = atCreation === undefined ? toBlock : createdInBlock;
  const unlessNamed = <value>(kind: PolicyChangeKind, value: value) =>
    changes.some((change) => change.kind === kind && change.blockNumber <= until) ? undefined : value;
  return {
    allowAnyDevice: unlessNamed("allowAnyDeviceSet", settings?.allowAnyDevice),
    requireTcbUpToDate: unlessNamed("requireTcbUpToDateSet", settings?.requireTcbUpToDate),
    upgradesDisabled: unlessNamed("upgradesDisabled", settings?.upgradesDisabled),
  };

  /** Undefined if the endpoint does not serve that block's state. */
  async function readSettings(blockNumber: bigint, tries: number): Promise<ReadAppSettingsReturnType | undefined> {
    const read = () => readAppSettings(client, { appId, blockNumber });
    try {
      return await withRpcRetry(client, retry, "reading the flags of the app's creation", read, tries);
    } catch (error) {
      if (isDstackError(error)) return undefined;
      throw error;
    }
  }
}
