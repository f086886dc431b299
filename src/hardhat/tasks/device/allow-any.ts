import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAllowlist } from "../../../chain/read-app.ts";
import type { DeviceId } from "../../../core/ids.ts";
import { setAllowAnyDeviceCall } from "../../../core/owner-calls.ts";
import { InvalidArgumentError } from "../../../errors/index.ts";
import { connectApp } from "../../connect/connect-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { barringWaivers, requireNoneBarred } from "../../device/require-none-barred.ts";
import { type ChangePolicyArguments, changePolicy } from "../../write/change-policy.ts";
import { parseWaivers } from "../../write/parse-waivers.ts";

export interface DeviceAllowAnyArguments extends AppArguments, ChangePolicyArguments, OutputArguments {
  /** `on` or `off`. */
  readonly state: string;
  readonly waive?: string | undefined;
}

const action: NewTaskActionFunction<DeviceAllowAnyArguments> = (args, hre) =>
  runTask(args, (io) => allowAny(io, args, hre));
export default action;

async function allowAny(
  io: TaskIo,
  args: DeviceAllowAnyArguments,
  hre: HardhatRuntimeEnvironment,
): Promise<TaskOutcome> {
  const waivers = parseWaivers(args.waive, barringWaivers);
  if (args.state !== "on" && args.state !== "off") {
    throw new InvalidArgumentError("Say on or off.", { nextStep: "As in: npx hardhat dstack device allow-any off." });
  }
  const app = await connectApp(args, hre);
  const { appId, client } = app;
  const isUnlisted = async (deviceId: DeviceId) => !(await readAllowlist(client, { appId, deviceId })).deviceListed;
  const guard = async () => {
    const { allowAnyDevice } = await readAllowlist(client, { appId });
    if (args.state === "off" && allowAnyDevice) await requireNoneBarred(app, isUnlisted, waivers);
  };
  const calls = [setAllowAnyDeviceCall({ appId, allowAny: args.state === "on" })];
  return changePolicy(io, args, { app, calls, allowNoEffect: waivers.has("no-effect"), guard });
}
