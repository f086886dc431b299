import { type ChainClient, requireChain } from "../chain/client.ts";
import { type RetryOptions, withRpcRetry } from "../chain/retry.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import { RpcUnavailableError } from "../errors/index.ts";
import { readBlock } from "./blocks.ts";
import { differingDevices, differingHashes, readAllowedKeys } from "./compare-with-state.ts";
import type { Completeness, History, IncompletenessReason } from "./history.ts";
import { allowedAt, type ComposeHashChange, type DeviceChange, recordedValues } from "./policy.ts";

/** Hashes and devices that CVMs, a plan or a configuration need, whether an event names them or not. */
export interface ValuesInUse {
  readonly composeHashes: readonly ComposeHash[];
  readonly devices: readonly DeviceId[];
}

/** What the contract itself allows, of all values that are known. */
export interface KnownLists {
  /** Each allowed hash, with the change that allowed it. Undefined if no event that was read allowed it. */
  readonly composeHashes: ReadonlyMap<ComposeHash, ComposeHashChange | undefined>;
  /** Each listed device, in the same way. */
  readonly devices: ReadonlyMap<DeviceId, DeviceChange | undefined>;
  /** Whether the contract may allow more, and why: the history's reasons, and one for each value in use. */
  readonly completeness: Completeness;
}

export interface ReadKnownListsParameters extends RetryOptions {
  readonly history: Pick<History, "appId" | "pinned" | "changes" | "completeness">;
  readonly inUse: ValuesInUse;
}

/**
 * Asks the contract, at the history's last block, about each hash and device that an event names or that is in use. The
 * answer of the contract counts, not the events. This is the one judgement of what an app allows: an endpoint that
 * leaves out logs can make the lists shorter, but it cannot make them deny what is in use.
 *
 * @throws ContractRevertedError, RpcUnavailableError, the signal's reason
 */
export async function readKnownLists(
  client: ChainClient,
  { history, inUse, ...retry }: ReadKnownListsParameters,
): Promise<KnownLists> {
  const { appId, pinned, changes } = history;
  const reasons = history.completeness.isComplete ? [] : history.completeness.reasons;
  const byEvents = allowedAt(changes, pinned.number);
  const recorded = recordedValues(changes);
  const at = { appId, blockNumber: pinned.number, ...retry };
  const composeHashes = unique([
    ...byEvents.composeHashes.keys(),
    ...reasons.flatMap((reason) => (reason.kind === "composeHashDiffers" ? reason.composeHash : [])),
    ...[...recorded.composeHashes, ...inUse.composeHashes],
  ]);
  const devices = unique([
    ...byEvents.devices.keys(),
    ...reasons.flatMap((reason) => (reason.kind === "deviceDiffers" ? reason.deviceId : [])),
    ...[...recorded.devices, ...inUse.devices],
  ]);
  const allowedHashes = await readAllowedKeys(client, { ...at, view: "allowedComposeHashes", keys: composeHashes });
  const allowedDevices = await readAllowedKeys(client, { ...at, view: "allowedDeviceIds", keys: devices });
  return {
    composeHashes: inOrder(composeHashes, allowedHashes, byEvents.composeHashes),
    devices: inOrder(devices, allowedDevices, byEvents.devices),
    completeness: withReasons(history.completeness, [
      ...differingHashes(composeHashes, { byEvents: byEvents.composeHashes, onChain: allowedHashes }),
      ...differingDevices(devices, { byEvents: byEvents.devices, onChain: allowedDevices }),
    ]),
  };
}

function unique<key>(keys: readonly key[]): key[] {
  return [...new Set(keys)];
}

function inOrder<key extends Hex, change>(
  keys: readonly key[],
  allowed: ReadonlySet<key>,
  byEvents: ReadonlyMap<key, change>,
): ReadonlyMap<key, change | undefined> {
  return new Map(keys.filter((key) => allowed.has(key)).map((key) => [key, byEvents.get(key)]));
}

/** Each reason once: the history may already have compared the same values. */
function withReasons(completeness: Completeness, more: readonly IncompletenessReason[]): Completeness {
  const reasons = completeness.isComplete ? [] : completeness.reasons;
  const told = new Set(reasons.map(({ message }) => message));
  const all = [...reasons, ...more.filter(({ message }) => !told.has(message))];
  return all.length === 0 ? completeness : { isComplete: false, reasons: all };
}

export interface HistoryWithoutEventsParameters extends RetryOptions {
  readonly appId: AppId;
  /** Why no event was read, in one sentence. */
  readonly problem: string;
}

/**
 * A history for an endpoint that serves no logs: it has no events, and says so.
 *
 * @throws WrongChainError, RpcUnavailableError, the signal's reason
 */
export async function historyWithoutEvents(
  client: ChainClient,
  { appId, problem, ...retry }: HistoryWithoutEventsParameters,
): Promise<History> {
  const chainId = await withRpcRetry(client, retry, "reading the chain id", () => requireChain(client));
  const pinned = await readBlock(client, "latest", retry);
  if (pinned === undefined) throw new RpcUnavailableError("reading the latest block");
  return {
    chainId,
    appId,
    createdInBlock: pinned.number,
    pinned,
    changes: [],
    initialFlags: {},
    unknownLogs: 0,
    completeness: { isComplete: false, reasons: [{ kind: "eventsNotRead", message: problem }] },
  };
}
