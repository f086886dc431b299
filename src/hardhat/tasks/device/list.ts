import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../../chain/read-app.ts";
import { nameOfCvm } from "../../../core/ids.ts";
import { formatTime } from "../../../report/format.ts";
import type { Paper } from "../../../report/output.ts";
import { connectApp } from "../../connect/connect-app.ts";
import { gatherContracts, reportGenerations, showCaveat } from "../../connect/generations.ts";
import { requireApp } from "../../connect/require-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { type DeviceList, listDevices } from "../../device/list-devices.ts";
import { type HistoryArguments, readAppHistory } from "../../history/read-app-history.ts";
import type { Origin } from "../../history/read-origin.ts";

export interface DeviceListArguments extends AppArguments, HistoryArguments, OutputArguments {}

const action: NewTaskActionFunction<DeviceListArguments> = (args, hre) => runTask(args, (io) => list(io, args, hre));
export default action;

async function list(io: TaskIo, args: DeviceListArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const app = await connectApp(args, hre);
  const { client, appId } = app;
  const { generation } = requireApp(await readAppStatus(client, { appId }), appId);
  const contracts = await gatherContracts(app, generation);
  const devices = await listDevices(app, await readAppHistory(io, hre, app, args));
  return {
    result: {
      appId,
      chainId: app.chainId,
      isCloudAsked: app.cloud !== undefined,
      ...reportGenerations(contracts),
      ...devices,
    },
    show: (paper) => {
      showCaveat(paper, contracts);
      show(paper, appId, devices);
    },
  };
}

function show(paper: Paper, appId: string, list: DeviceList): void {
  const { blockNumber, allowAnyDevice, devices, cloudProblem, doubts } = list;
  paper.title(`Devices of ${appId} at block ${blockNumber}`);
  if (devices.length > 0) {
    paper.table({
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
  if (!devices.some(({ isListed }) => isListed)) paper.line("No device is listed.");
  if (allowAnyDevice) paper.line("Any device the KMS trusts may boot, so the list bars none.");
  if (cloudProblem !== undefined) paper.line(`Nodes and CVMs are not known: ${cloudProblem}`);
  for (const doubt of doubts) paper.line(`There may be more: ${doubt}`);
}

function describeOrigin(added: Origin | undefined): string {
  if (added === undefined || added.by === null) return "";
  return added.isRecorded ? added.by : `${added.by} (sent it)`;
}
