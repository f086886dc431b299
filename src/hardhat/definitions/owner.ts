import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { acceptOption, appOption, batchOption, cvmOption, jsonFlag, withExample, yesFlag } from "../options.ts";

export const ownerTasks = [
  emptyTask(["dstack", "owner"], "Who may change an app").build(),
  task(
    ["dstack", "owner", "show"],
    withExample("Shows who owns an app, who is invited to, and what stands behind them", "owner show --app my-app"),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/owner/show.ts"))
    .build(),
  task(
    ["dstack", "owner", "transfer"],
    withExample(
      "Transfers an app to another owner, which must accept it where the contract knows two steps",
      "owner transfer 0x… --app my-app",
    ),
  )
    .addPositionalArgument({
      name: "address",
      description: "Address of the new owner",
      type: ArgumentType.STRING,
      defaultValue: "",
    })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(batchOption)
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(() => import("../tasks/owner/transfer.ts"))
    .build(),
  task(
    ["dstack", "owner", "accept"],
    withExample("Accepts the ownership of an app, as the invited owner", "owner accept --app my-app"),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(batchOption)
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(() => import("../tasks/owner/accept.ts"))
    .build(),
];
