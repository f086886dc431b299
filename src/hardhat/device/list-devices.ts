import { readAllowlist } from "../../chain/read-allowlist.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { getAppCvms } from "../../cloud/get-app-cvms.ts";
import { type CloudNode, getNodes } from "../../cloud/get-nodes.ts";
import type { DeviceId } from "../../core/ids.ts";
import { allowedAt } from "../../core/policy/allowed-at.ts";
import { CloudResponseError } from "../../errors/index.ts";
import type { History } from "../../history/history.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { type Origin, readOrigin } from "../history/read-origin.ts";

export interface ListedDevice {
  readonly deviceId: DeviceId;
  /** By its own entry, as the contract says at the pinned block. */
  readonly isListed: boolean;
  /** Undefined if it is not listed, or no event says so. */
  readonly added: Origin | undefined;
  /** Names of the cloud's nodes with this device. */
  readonly nodes: readonly string[];
  /** Names of the app's CVMs on it. */
  readonly cvms: readonly string[];
}

export interface DeviceList {
  readonly blockNumber: bigint;
  readonly allowAnyDevice: boolean;
  /** Listed ones first, the newest last. */
  readonly devices: readonly ListedDevice[];
  /** Why there may be more. Empty if the history is complete. */
  readonly doubts: readonly string[];
}

/** The devices an app lists, and those its CVMs and the cloud's nodes are on. @throws ChainError, CloudError */
export async function listDevices(app: ConnectedApp, history: History): Promise<DeviceList> {
  const { client, appId, cloud } = app;
  const blockNumber = history.pinned.number;
  const [nodes, cvms] = cloud === undefined ? [[], []] : await Promise.all([getNodes(cloud), listCvms(cloud, appId)]);
  const byEvents = allowedAt(history.changes).devices;
  const candidates = [...byEvents.keys(), ...[...cvms, ...nodes].flatMap(({ deviceId }) => deviceId ?? [])];
  const { allowAnyDevice } = await readAllowlist(client, { appId, blockNumber });
  const devices = [...new Set(candidates)].map(async (deviceId) => {
    const { deviceListed } = await readAllowlist(client, { appId, deviceId, blockNumber });
    const change = byEvents.get(deviceId);
    return {
      deviceId,
      isListed: deviceListed === true,
      added: deviceListed && change ? await readOrigin(client, change) : undefined,
      nodes: namesOn(deviceId, nodes),
      cvms: namesOn(deviceId, cvms),
    };
  });
  const { completeness } = history;
  return {
    blockNumber,
    allowAnyDevice,
    devices: (await Promise.all(devices)).toSorted((one, other) => Number(other.isListed) - Number(one.isListed)),
    doubts: completeness.isComplete ? [] : completeness.reasons.map(({ message }) => message),
  };
}

/** A workspace without a CVM of the app knows of none: 404. */
async function listCvms(cloud: CloudClient, appId: ConnectedApp["appId"]): Promise<readonly Cvm[]> {
  try {
    return await getAppCvms(cloud, { appId });
  } catch (error) {
    if (error instanceof CloudResponseError && error.status === 404) return [];
    throw error;
  }
}

function namesOn(deviceId: DeviceId, machines: readonly (CloudNode | Cvm)[]): readonly string[] {
  return machines.filter((machine) => machine.deviceId === deviceId).map(({ name }) => name);
}
