import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import {
  acceptOption,
  appOption,
  batchOption,
  cvmOption,
  fromBlockOption,
  jsonFlag,
  optional,
  several,
  storeOption,
  withExample,
  yesFlag,
} from "../options.ts";

const devices = several("devices", "Device ids, or names of nodes in the cloud");
const waive = optional("waive", "no-effect: send changes that change nothing, too");
const waiveUse = optional(
  "waive",
  "What to overlook, by name: in-use, running-devices, no-effect; separated by commas",
);

export const deviceTasks = [
  emptyTask(["dstack", "device"], "The devices an app may boot on").build(),
  task(
    ["dstack", "device", "list"],
    withExample(
      "Lists an app's devices, since when and by whom, with the nodes and CVMs on them",
      "device list --cvm my-app",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/device/list.ts"))
    .build(),
  task(["dstack", "device", "add"], withExample("Allows devices", "device add node-2 --cvm my-app"))
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption)
    .addOption(batchOption)
    .addOption(waive)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/device/add.ts"))
    .build(),
  task(["dstack", "device", "remove"], withExample("Takes devices off the list", "device remove 0x… --cvm my-app"))
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption)
    .addOption(batchOption)
    .addOption(waiveUse)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/device/remove.ts"))
    .build(),
  task(
    ["dstack", "device", "allow-any"],
    withExample(
      "Lets any device boot that the KMS trusts, or the listed ones alone",
      "device allow-any off --cvm my-app",
    ),
  )
    .addPositionalArgument({ name: "state", description: "on or off", type: ArgumentType.STRING, defaultValue: "" })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption)
    .addOption(batchOption)
    .addOption(waiveUse)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/device/allow-any.ts"))
    .build(),
];
