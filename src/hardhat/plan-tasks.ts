import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import {
  batchOption,
  fromBlockOption,
  indexOption,
  jsonFlag,
  ledgerOption,
  optional,
  sendingTask,
  storeOption,
  withExample,
} from "./options.ts";
import { run } from "./tasks.ts";

export const fileArgument = {
  name: "file",
  description: "File of the plan",
  type: ArgumentType.STRING,
  defaultValue: "",
} as const;
export const pinOption = optional("pin", "For the plan of a prune: further hashes to keep, separated by commas");
export const queuedOption = optional(
  "queued",
  "For the plan of a prune: further queued calls whose hashes to keep: files or 0x…, separated by commas",
);

export const planTasks = [
  emptyTask(["dstack", "plan"], "Plans that a task wrote with --plan").build(),
  task(
    ["dstack", "plan", "show"],
    withExample(
      "Shows a plan: its app, owner, calls, the reason for each, events and price; needs no network",
      "plan show plan.json",
    ),
  )
    .addPositionalArgument(fileArgument)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/plan.ts")).planShow))
    .build(),
  task(
    ["dstack", "plan", "check"],
    withExample(
      "Compares a plan with the chain and the cloud, and tells whether it was executed already",
      "plan check plan.json --network base",
    ),
  )
    .addPositionalArgument(fileArgument)
    .addOption(pinOption)
    .addOption(queuedOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addOption(ledgerOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/plan.ts")).planCheck))
    .build(),
  sendingTask(
    ["dstack", "plan", "apply"],
    withExample(
      "Checks a plan and executes it as its owner: a key sends it; for a Safe, a timelock or another contract, prepares what its people need",
      "plan apply plan.json --network base",
    ),
  )
    .addPositionalArgument(fileArgument)
    .addOption(batchOption)
    .addOption(pinOption)
    .addOption(queuedOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .setAction(run(async () => (await import("../commands/plan.ts")).planApply))
    .build(),
];
