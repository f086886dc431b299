import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { addComposeHashCall, removeComposeHashCall } from "../../../core/owner-calls.ts";
import { showWhatRemovalMeans } from "../../../report/prune-printer.ts";
import { connectApp } from "../../connect/connect-app.ts";
import type { AppArguments } from "../../connect/resolve-app.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../../connect/run-task.ts";
import { parseHashes } from "../../hash/parse-hashes.ts";
import { removalWaivers, requireUnneeded } from "../../hash/require-unneeded.ts";
import { type ChangePolicyArguments, changePolicy } from "../../write/change-policy.ts";
import { parseWaivers } from "../../write/parse-waivers.ts";

export interface HashAddArguments extends AppArguments, ChangePolicyArguments, OutputArguments {
  readonly hashes: readonly string[];
  /** Hashes to remove in the same transaction, separated by commas. */
  readonly remove?: string | undefined;
  readonly waive?: string | undefined;
}

const action: NewTaskActionFunction<HashAddArguments> = (args, hre) => runTask(args, (io) => add(io, args, hre));
export default action;

async function add(io: TaskIo, args: HashAddArguments, hre: HardhatRuntimeEnvironment): Promise<TaskOutcome> {
  const waivers = parseWaivers(args.waive, removalWaivers);
  const added = parseHashes(args.hashes);
  const removed = args.remove === undefined ? [] : parseHashes(args.remove.split(","));
  const app = await connectApp(args, hre);
  const { appId } = app;
  return changePolicy(io, args, {
    app,
    calls: [
      ...added.map((composeHash) => addComposeHashCall({ appId, composeHash })),
      ...removed.map((composeHash) => removeComposeHashCall({ appId, composeHash })),
    ],
    allowNoEffect: waivers.has("no-effect"),
    guard: async () => {
      await requireUnneeded(app, removed, waivers);
      if (removed.length > 0) showWhatRemovalMeans(io.paper);
    },
  });
}
