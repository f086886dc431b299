import { readAllowlist, readAppStatus } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { type CloudNode, getNodes } from "../cloud/get-nodes.ts";
import { type AppId, type DeviceId, nameOfCvm } from "../core/ids.ts";
import { addDeviceCall, removeDeviceCall, setAllowAnyDeviceCall } from "../core/owner-calls.ts";
import { DeviceNeededError, InvalidArgumentError, isDstackError } from "../errors/index.ts";
import type { Completeness } from "../history/history.ts";
import { formatTime } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import type { CvmReference } from "../prune/allowlist-use.ts";
import { toReference } from "../prune/read-cloud-use.ts";
import { findDeviceObjections } from "../prune/removal-objections.ts";
import {
  type AppLists,
  type HistoryArguments,
  type Origin,
  readAppLists,
  readOrigin,
  reportEvidence,
  showCompleteness,
} from "./app-history.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, type ConnectedApp, connectApp, listCvms, requireApp } from "./connect-app.ts";
import { readJudgedContracts, reportGenerations, showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { parseDevices, requireConfigured, showNamedDevices } from "./values.ts";
import { type ChangeAppArguments, changeApp } from "./write.ts";

export interface ListedDevice {
  readonly deviceId: DeviceId;
  /** Whether the contract lists this device itself, at the pinned block. */
  readonly isListed: boolean;
  /** Undefined if it is not listed, or if no event names it. */
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
  /** Why nodes and CVMs are missing; undefined if the cloud answered or was not asked. */
  readonly cloudProblem: string | undefined;
  /** Whether the contract may list further devices, and why. */
  readonly completeness: Completeness;
}

/** The devices an app lists, and the devices of its CVMs, of the cloud's nodes and of the configuration. */
async function listDevices(app: ConnectedApp, lists: AppLists, machines: CloudMachines): Promise<DeviceList> {
  const { client, appId } = app;
  const { nodes, cvms, problem } = machines;
  const blockNumber = lists.history.pinned.number;
  const others = [...(app.devices ?? []), ...[...cvms, ...nodes].flatMap(({ deviceId }) => deviceId ?? [])];
  const { allowAnyDevice } = await readAllowlist(client, { appId, blockNumber });
  const devices = [...new Set([...lists.devices.keys(), ...others])].map(async (deviceId) => {
    const change = lists.devices.get(deviceId);
    return {
      deviceId,
      isListed: lists.devices.has(deviceId),
      added: change && (await readOrigin(client, change)),
      nodes: nodes.filter((node) => node.deviceId === deviceId).map(({ name }) => name),
      cvms: cvms.filter((cvm) => cvm.deviceId === deviceId).map(toReference),
    };
  });
  return {
    blockNumber,
    allowAnyDevice,
    devices: (await Promise.all(devices)).toSorted((one, other) => Number(other.isListed) - Number(one.isListed)),
    cloudProblem: problem,
    completeness: lists.completeness,
  };
}

interface CloudMachines {
  readonly nodes: readonly CloudNode[];
  readonly cvms: readonly Cvm[];
  readonly problem?: string | undefined;
}

/** A cloud error becomes part of the result, because the contract's list can still be shown. */
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

export interface DeviceAddArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  /** Device ids or names of nodes. */
  readonly devices: readonly string[];
}

export const deviceAdd: Command<DeviceAddArguments> = (args, host) => runTask(args, (io) => add(io, args, host));

async function add(io: TaskIo, args: DeviceAddArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("device add", args.accept);
  const app = await connectApp(args, host);
  const { appId } = app;
  const devices = await parseDevices(args.devices, app.cloud);
  requireConfigured(devices, app.devices);
  const namedDevices = showNamedDevices(io.output, devices);
  const calls = devices.map(({ deviceId }) => addDeviceCall({ appId, deviceId }));
  const outcome = await changeApp(io, args, { app, calls, accepted });
  return { ...outcome, result: { ...outcome.result, namedDevices } };
}

export interface DeviceListArguments extends AppArguments, HistoryArguments, OutputArguments {}

export const deviceList: Command<DeviceListArguments> = (args, host) => runTask(args, (io) => list(io, args, host));

async function list(io: TaskIo, args: DeviceListArguments, host: CommandHost): Promise<TaskOutcome> {
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const { generation } = requireApp(await readAppStatus(client, { appId }), appId);
  const contracts = await readJudgedContracts(app, generation);
  const machines = await askCloud(app.cloud, appId);
  const lists = await readAppLists(io, host, app, args, [...machines.cvms, ...machines.nodes]);
  const devices = await listDevices(app, lists, machines);
  return {
    result: {
      appId,
      chainId: app.chainId,
      isCloudAsked: app.cloud !== undefined,
      ...reportGenerations(contracts),
      ...devices,
      ...reportEvidence(lists.history),
    },
    show: (output) => {
      showCaveat(output, contracts);
      showCompleteness(output, lists);
      show(output, appId, devices);
    },
    exitCode: lists.completeness.isComplete ? 0 : negativeAnswer,
  };
}

function show(output: Output, appId: string, list: DeviceList): void {
  const { blockNumber, allowAnyDevice, devices, cloudProblem, completeness } = list;
  output.title(`Devices of ${appId} at block ${blockNumber}`);
  if (devices.length > 0) {
    output.table({
      head: ["device", "", "since (UTC)", "by", "transaction", "node", "CVM"],
      rows: devices.map(({ deviceId, isListed, added, nodes, cvms }) => [
        deviceId,
        isListed ? "listed" : "not listed",
        added === undefined ? "" : formatTime(added.time),
        describeOrigin(added),
        added?.transactionHash ?? "",
        nodes.join(", "),
        cvms.map(nameOfCvm).join(", "),
      ]),
    });
  }
  if (!devices.some(({ isListed }) => isListed))
    output.line(completeness.isComplete ? "No device is listed." : "No device is known to be listed.");
  if (allowAnyDevice) output.line("The app allows any device that the KMS trusts, so the list has no effect.");
  if (cloudProblem !== undefined) output.line(`Nodes and CVMs could not be read: ${cloudProblem}`);
}

function describeOrigin(added: Origin | undefined): string {
  if (added === undefined || added.by === null) return "";
  return added.isRecorded ? added.by : `${added.by} (transaction sender)`;
}

export interface DeviceRemoveArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  /** Device ids or names of nodes. */
  readonly devices: readonly string[];
}

export const deviceRemove: Command<DeviceRemoveArguments> = (args, host) =>
  runTask(args, (io) => remove(io, args, host));

async function remove(io: TaskIo, args: DeviceRemoveArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("device remove", args.accept);
  const app = await connectApp(args, host);
  const { appId, client } = app;
  const devices = await parseDevices(args.devices, app.cloud);
  const namedDevices = showNamedDevices(io.output, devices);
  const deviceIds = devices.map(({ deviceId }) => deviceId);
  const guard = async () => {
    const { allowAnyDevice } = await readAllowlist(client, { appId });
    if (!allowAnyDevice) await requireNoneBarred(app, async (deviceId) => deviceIds.includes(deviceId), accepted);
  };
  const calls = deviceIds.map((deviceId) => removeDeviceCall({ appId, deviceId }));
  const outcome = await changeApp(io, args, { app, calls, accepted, guard });
  return { ...outcome, result: { ...outcome.result, namedDevices } };
}

export interface DeviceAllowAnyArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  /** `on` or `off`. */
  readonly state: string;
}

export const deviceAllowAny: Command<DeviceAllowAnyArguments> = (args, host) =>
  runTask(args, (io) => allowAny(io, args, host));

async function allowAny(io: TaskIo, args: DeviceAllowAnyArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("device allow-any", args.accept);
  if (args.state !== "on" && args.state !== "off") {
    throw new InvalidArgumentError("The state must be on or off.", {
      nextStep: "Example: npx hardhat dstack device allow-any off.",
    });
  }
  const app = await connectApp(args, host);
  const { appId, client } = app;
  const isUnlisted = async (deviceId: DeviceId) => !(await readAllowlist(client, { appId, deviceId })).deviceListed;
  const guard = async () => {
    const { allowAnyDevice } = await readAllowlist(client, { appId });
    if (args.state === "off" && allowAnyDevice) await requireNoneBarred(app, isUnlisted, accepted);
  };
  const calls = [setAllowAnyDeviceCall({ appId, allowAny: args.state === "on" })];
  return changeApp(io, args, { app, calls, accepted, guard });
}

/**
 * Returns if the cloud names the device of each of the app's CVMs, running or stopped, and none of them will be barred.
 * Objections that the user accepted by name do not count.
 *
 * @throws DeviceNeededError, RpcUnavailableError
 */
export async function requireNoneBarred(
  app: ConnectedApp,
  isBarred: (deviceId: DeviceId) => Promise<boolean>,
  accepted: ReadonlySet<string>,
): Promise<void> {
  const objections = await findDeviceObjections(app, isBarred);
  const standing = objections.filter(({ acceptAs }) => !accepted.has(acceptAs));
  if (standing.length > 0) throw new DeviceNeededError(standing);
}
