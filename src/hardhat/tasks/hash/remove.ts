import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { removeComposeHashCall } from "../../../core/owner-calls.ts";
import { showWhatRemovalMeans } from "../../../report/prune-printer.ts";
import { connectApp } from "../../connect/connect-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { parseHashes } from "../../hash/parse-hashes.ts";
import { removalWaivers, requireUnneeded } from "../../hash/require-unneeded.ts";
import { type ChangePolicyArguments, changePolicy } from "../../write/change-policy.ts";
import { parseWaivers } from "../../write/parse-waivers.ts";

export interface HashRemoveArguments extends AppArguments, ChangePolicyArguments, OutputArguments {
  readonly hashes: readonly string[];
  readonly waive?: string | undefined;
}

const action: NewTaskActionFunction<HashRemoveArguments> = (args, hre) => runTask(args, (io) => remove(io, args, hre));
export default action;

async function remove(io: TaskIo, args: HashRemoveArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const waivers = parseWaivers(args.waive, removalWaivers);
  const composeHashes = parseHashes(args.hashes);
  const app = await connectApp(args, hre);
  return changePolicy(io, args, {
    app,
    calls: composeHashes.map((composeHash) => removeComposeHashCall({ appId: app.appId, composeHash })),
    allowNoEffect: waivers.has("no-effect"),
    guard: async () => {
      await requireUnneeded(app, composeHashes, waivers);
      showWhatRemovalMeans(io.paper);
    },
  });
}
