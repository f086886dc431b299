import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { addDeviceCall } from "../../../core/owner-calls.ts";
import { connectApp } from "../../connect/connect-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { parseDevices, requireConfigured, showNamedDevices } from "../../device/parse-devices.ts";
import { type ChangePolicyArguments, changePolicy } from "../../write/change-policy.ts";
import { parseWaivers } from "../../write/parse-waivers.ts";

export interface DeviceAddArguments extends AppArguments, ChangePolicyArguments, OutputArguments {
  /** Device ids or names of nodes. */
  readonly devices: readonly string[];
  readonly waive?: string | undefined;
}

const action: NewTaskActionFunction<DeviceAddArguments> = (args, hre) => runTask(args, (io) => add(io, args, hre));
export default action;

async function add(io: TaskIo, args: DeviceAddArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const waivers = parseWaivers(args.waive, ["no-effect"]);
  const app = await connectApp(args, hre);
  const { appId } = app;
  const devices = await parseDevices(args.devices, app.cloud);
  requireConfigured(devices, app.devices);
  const namedDevices = showNamedDevices(io.paper, devices);
  const calls = devices.map(({ deviceId }) => addDeviceCall({ appId, deviceId }));
  const outcome = await changePolicy(io, args, { app, calls, allowNoEffect: waivers.has("no-effect") });
  return { ...outcome, result: { ...outcome.result, namedDevices } };
}
