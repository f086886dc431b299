import { emptyTask, task } from "hardhat/config";
import {
  acceptOption,
  appOption,
  batchOption,
  cvmOption,
  fromBlockOption,
  jsonFlag,
  ledgerOption,
  optional,
  planFileArgument,
  sendingPlanTask,
  serviceOption,
  withExample,
} from "./options.ts";
import { run } from "./tasks.ts";

const saltOption = optional("salt", "Salt of the operation, 32 bytes of hex (default: the plan's digest)");
const predecessorOption = optional(
  "predecessor",
  "Id of the operation that must be executed before this one (default: none)",
);
const idOption = optional("id", "Id of the operation, if several make the plan's calls (default: the only one)");
/** A task that calls the timelock with a plan's operation. */
function callingTask(id: string[], description: string) {
  return sendingPlanTask(id, description)
    .addOption(saltOption)
    .addOption(predecessorOption)
    .addOption(idOption)
    .addOption(optional("from", "Account that calls the timelock, such as a Safe with the role (default: the signer)"))
    .addOption(optional("plan", "File for a plan of this one call, which the Safe of --from executes; nothing is sent"))
    .addOption(batchOption);
}

const delayOption = optional(
  "delay",
  "Time between schedule and execution, such as 3d or 36h (default: the timelock's minimum)",
);

export const timelockTasks = [
  emptyTask(["dstack", "timelock"], "Plans for contracts that a timelock owns").build(),
  callingTask(
    ["dstack", "timelock", "schedule"],
    withExample(
      "Checks a plan and schedules it in the timelock that owns its contracts; a plan has one operation, so a repeated run finds it",
      "timelock schedule plan.json --network base",
    ),
  )
    .addOption(delayOption)
    .setAction(run(async () => (await import("../commands/timelock.ts")).timelockSchedule))
    .build(),
  task(
    ["dstack", "timelock", "status"],
    withExample(
      "Shows the operation of a plan: its state, ready time, calls and who may execute it; without a plan, everything that waits in the timelock",
      "timelock status plan.json --network base",
    ),
  )
    .addPositionalArgument(planFileArgument)
    .addOption(saltOption)
    .addOption(predecessorOption)
    .addOption(idOption)
    .addOption(optional("timelock", "Without a plan: address of the timelock (default: the owner of the app)"))
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption({
      ...serviceOption,
      description:
        "Address of the Safe transaction service that lists what waits in Safes, or none (default: dstack.safe.service)",
    })
    .addOption(fromBlockOption)
    .addOption(ledgerOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/timelock-status.ts")).timelockStatus))
    .build(),
  callingTask(
    ["dstack", "timelock", "execute"],
    withExample(
      "Checks a plan again, executes its operation once it is ready, and proves the events of every call",
      "timelock execute plan.json --network base",
    ),
  )
    .setAction(run(async () => (await import("../commands/timelock.ts")).timelockExecute))
    .build(),
  callingTask(
    ["dstack", "timelock", "cancel"],
    withExample("Cancels the pending operation of a plan", "timelock cancel plan.json --network base"),
  )
    .addOption(acceptOption("timelock cancel"))
    .setAction(run(async () => (await import("../commands/timelock.ts")).timelockCancel))
    .build(),
  callingTask(
    ["dstack", "timelock", "run"],
    withExample(
      "Takes a plan as far as it can go: schedules it, waits with --wait, executes it, and commits the update that was prepared for it; the same command goes on where it stopped",
      "timelock run plan.json --network base",
    ),
  )
    .addOption(delayOption)
    .addFlag({ name: "wait", description: "Wait until the operation is ready, and then execute it" })
    .setAction(run(async () => (await import("../commands/timelock.ts")).timelockRun))
    .build(),
];
