import { readAllowlist } from "../../chain/read-app.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { type CloudNode, getNodes } from "../../cloud/get-nodes.ts";
import type { AppId, DeviceId } from "../../core/ids.ts";
import { isDstackError } from "../../errors/index.ts";
import type { History } from "../../history/history.ts";
import { allowedAt } from "../../history/policy.ts";
import type { CvmReference } from "../../prune/facts.ts";
import { toReference } from "../../prune/read-cloud-use.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { listCvms } from "../connect/list-cvms.ts";
import { type Origin, readOrigin } from "../history/read-origin.ts";

export interface ListedDevice {
  readonly deviceId: DeviceId;
  /** By its own entry, as the contract says at the pinned block. */
  readonly isListed: boolean;
  /** Undefined if it is not listed, or no event says so. */
  readonly added: Origin | undefined;
  /** Names of the cloud's nodes with this device. */
  readonly nodes: readonly string[];
  /** The app's CVMs on it, running or not. */
  readonly cvms: readonly CvmReference[];
}

export interface DeviceList {
  readonly blockNumber: bigint;
  readonly allowAnyDevice: boolean;
  /** Listed ones first, the newest last. */
  readonly devices: readonly ListedDevice[];
  /** Why neither nodes nor CVMs are named; undefined if the cloud told of them, or was not asked. */
  readonly cloudProblem: string | undefined;
  /** Why there may be more. Empty if the history is complete. */
  readonly doubts: readonly string[];
}

/** The devices an app lists, and those its CVMs and the cloud's nodes are on. @throws ChainError */
export async function listDevices(app: ConnectedApp, history: History): Promise<DeviceList> {
  const { client, appId, cloud } = app;
  const blockNumber = history.pinned.number;
  const { nodes, cvms, problem } = await askCloud(cloud, appId);
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
      nodes: nodes.filter((node) => node.deviceId === deviceId).map(({ name }) => name),
      cvms: cvms.filter((cvm) => cvm.deviceId === deviceId).map(toReference),
    };
  });
  const { completeness } = history;
  return {
    blockNumber,
    allowAnyDevice,
    devices: (await Promise.all(devices)).toSorted((one, other) => Number(other.isListed) - Number(one.isListed)),
    cloudProblem: problem,
    doubts: completeness.isComplete ? [] : completeness.reasons.map(({ message }) => message),
  };
}

interface CloudMachines {
  readonly nodes: readonly CloudNode[];
  readonly cvms: readonly Cvm[];
  readonly problem?: string | undefined;
}

/** A cloud that cannot answer is an answer here: the contract's list can still be shown. */
async function askCloud(cloud: CloudClient | undefined, appId: AppId): Promise<CloudMachines> {
  if (cloud === undefined) return { nodes: [], cvms: [] };
  try {
    const [nodes, cvms] = await Promise.all([getNodes(cloud), listCvms(cloud, appId)]);
    return { nodes, cvms };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { nodes: [], cvms: [], problem: error.message };
  }
}
