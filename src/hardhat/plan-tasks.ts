import { emptyTask, task } from "hardhat/config";
import {
  batchOption,
  jsonFlag,
  ledgerOption,
  pinOption,
  planFileArgument,
  planTask,
  queuedOption,
  sendingPlanTask,
  withExample,
} from "./options.ts";
import { run } from "./tasks.ts";

export const planTasks = [
  emptyTask(["dstack", "plan"], "Plans that a task wrote with --plan").build(),
  task(
    ["dstack", "plan", "show"],
    withExample(
      "Shows a plan: its app, owner, calls, the reason for each, events and price; needs no network",
      "plan show plan.json",
    ),
  )
    .addPositionalArgument(planFileArgument)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/plan.ts")).planShow))
    .build(),
  planTask(
    ["dstack", "plan", "check"],
    withExample(
      "Compares a plan with the chain and the cloud, and tells whether it was executed already",
      "plan check plan.json --network base",
    ),
  )
    .addOption(pinOption)
    .addOption(queuedOption)
    .addOption(ledgerOption)
    .setAction(run(async () => (await import("../commands/plan.ts")).planCheck))
    .build(),
  sendingPlanTask(
    ["dstack", "plan", "apply"],
    withExample(
      "Checks a plan and executes it as its owner: a key sends it; for a Safe, a timelock or another contract, prepares what its people need",
      "plan apply plan.json --network base",
    ),
  )
    .addOption(batchOption)
    .setAction(run(async () => (await import("../commands/plan.ts")).planApply))
    .build(),
];
