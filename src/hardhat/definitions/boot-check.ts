import { task } from "hardhat/config";
import { acceptOption, appOption, cvmOption, jsonFlag, kmsOption, optional, withExample } from "../options.ts";

export const bootCheckTasks = [
  task(
    ["dstack", "boot-check"],
    withExample(
      "Tells whether an app would boot: every rule of KMS and app with its verdict, and the contract's own answer",
      "boot-check --cvm my-app --hash 0x…",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(optional("hash", "Compose hash (default: the one the CVM runs)"))
    .addOption(optional("device", "Device id of the machine (default: the CVM's)"))
    .addOption(optional("osImage", "Hash of the OS image (default: the CVM's)"))
    .addOption(optional("tcbStatus", "TCB status the machine reports (default: UpToDate)"))
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/boot-check.ts"))
    .build(),
];
