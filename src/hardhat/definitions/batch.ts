import { emptyTask, task } from "hardhat/config";
import { jsonFlag, optional, withExample, yesFlag } from "../options.ts";

export const batchTasks = [
  emptyTask(["dstack", "batch"], "What several changes in one transaction leave behind").build(),
  task(
    ["dstack", "batch", "undo-delegation"],
    withExample(
      "Ends the delegation to the batch executor that --batch 7702 has begun: the account has no code again",
      "batch undo-delegation --network base",
    ),
  )
    .addOption(optional("delegate", "The contract to leave, if it is not the batch executor"))
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(() => import("../tasks/batch/undo-delegation.ts"))
    .build(),
];
