import { task } from "hardhat/config";
import {
  appOption,
  cvmOption,
  fromBlockOption,
  jsonFlag,
  kmsOption,
  optional,
  storeOption,
  withExample,
} from "../options.ts";

export const statusTasks = [
  task(
    ["dstack", "status"],
    withExample(
      "Shows who owns an app, what it allows since when, which CVMs run it, and what looks wrong",
      "status --app my-app --network base",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/status.ts"))
    .build(),
  task(
    ["dstack", "history"],
    withExample(
      "Lists every change of an app's policy, with block, time, transaction and who made it",
      "history --app my-app --at 2026-11-21",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("at", "Tell what was allowed then: a block number or a date (2026-11-21 means its end, UTC)"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addFlag({ name: "prove", description: "Prove from the contract's storage that nothing else is allowed" })
    .addFlag({ name: "csv", description: "Print comma-separated values with a head line" })
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/history.ts"))
    .build(),
];
