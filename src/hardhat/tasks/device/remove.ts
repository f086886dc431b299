import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAllowlist } from "../../../chain/read-app.ts";
import { removeDeviceCall } from "../../../core/owner-calls.ts";
import { connectApp } from "../../connect/connect-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { parseDevices, showNamedDevices } from "../../device/parse-devices.ts";
import { barringWaivers, requireNoneBarred } from "../../device/require-none-barred.ts";
import { type ChangePolicyArguments, changePolicy } from "../../write/change-policy.ts";
import { parseWaivers } from "../../write/parse-waivers.ts";

export interface DeviceRemoveArguments extends AppArguments, ChangePolicyArguments, OutputArguments {
  /** Device ids or names of nodes. */
  readonly devices: readonly string[];
  readonly waive?: string | undefined;
}

const action: NewTaskActionFunction<DeviceRemoveArguments> = (args, hre) =>
  runTask(args, (io) => remove(io, args, hre));
export default action;

async function remove(io: TaskIo, args: DeviceRemoveArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const waivers = parseWaivers(args.waive, barringWaivers);
  const app = await connectApp(args, hre);
  const { appId, client } = app;
  const devices = await parseDevices(args.devices, app.cloud);
  const namedDevices = showNamedDevices(io.paper, devices);
  const deviceIds = devices.map(({ deviceId }) => deviceId);
  const guard = async () => {
    const { allowAnyDevice } = await readAllowlist(client, { appId });
    if (!allowAnyDevice) await requireNoneBarred(app, async (deviceId) => deviceIds.includes(deviceId), waivers);
  };
  const calls = deviceIds.map((deviceId) => removeDeviceCall({ appId, deviceId }));
  const outcome = await changePolicy(io, args, { app, calls, allowNoEffect: waivers.has("no-effect"), guard });
  return { ...outcome, result: { ...outcome.result, namedDevices } };
}
