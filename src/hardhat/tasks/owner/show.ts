import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../../chain/read-app.ts";
import { describeOwnerFully } from "../../../report/format.ts";
import { connectApp } from "../../connect/connect-app.ts";
import { requireApp } from "../../connect/require-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskOutcome } from "../../connect/run-task.ts";

export interface OwnerShowArguments extends AppArguments, OutputArguments {}

const action: NewTaskActionFunction<OwnerShowArguments> = (args, hre) => runTask(args, () => show(args, hre));
export default action;

async function show(args: OwnerShowArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const { client, appId, chainId } = await connectApp(args, hre);
  const { owner, pendingOwner, isTwoStep, blockNumber } = requireApp(await readAppStatus(client, { appId }), appId);
  return {
    result: { appId, chainId, blockNumber, owner, pendingOwner: pendingOwner ?? null, isTwoStep },
    show: (paper) => {
      paper.line(`app       ${appId}`);
      paper.line(`owner     ${describeOwnerFully(owner)}`);
      paper.line(`invited   ${pendingOwner === undefined ? "nobody" : describeOwnerFully(pendingOwner)}`);
      paper.line(
        `transfer  ${isTwoStep ? "in two steps: the new owner must accept" : "IN ONE STEP: it takes effect at once"}`,
      );
    },
  };
}
