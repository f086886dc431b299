import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { acceptOption, batchOption, jsonFlag, kmsOption, optional, withExample, yesFlag } from "../options.ts";

const cvmOfKmsOption = optional("cvm", "Name or id of a CVM, to look its KMS up in the cloud");

export const kmsTasks = [
  emptyTask(["dstack", "kms"], "The contract that knows all apps and what they may boot on").build(),
  task(
    ["dstack", "kms", "show"],
    withExample(
      "Shows who owns a KMS, what it gives new apps, and whether it allows the values asked for",
      "kms show --kms 0x… --os-image 0x…",
    ),
  )
    .addOption(kmsOption)
    .addOption(cvmOfKmsOption)
    .addOption(optional("osImage", "OS image hashes to ask for, separated by commas"))
    .addOption(optional("device", "Device ids of KMS nodes to ask for, separated by commas"))
    .addOption(optional("measurement", "Aggregated measurements of KMS nodes to ask for, separated by commas"))
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/kms/show.ts"))
    .build(),
  change("add-os-image", "Allows an OS image for every app of a KMS", "Hash of the OS image")
    .setAction(() => import("../tasks/kms/add-os-image.ts"))
    .build(),
  change("remove-os-image", "Takes an OS image off the list of a KMS, for every app", "Hash of the OS image")
    .setAction(() => import("../tasks/kms/remove-os-image.ts"))
    .build(),
  change("add-device", "Allows a device to run nodes of a KMS", "Device id")
    .setAction(() => import("../tasks/kms/add-device.ts"))
    .build(),
  change("remove-device", "Takes a device of KMS nodes off the list", "Device id")
    .setAction(() => import("../tasks/kms/remove-device.ts"))
    .build(),
  change("add-measurement", "Allows nodes of a KMS with this measurement", "Aggregated measurement")
    .setAction(() => import("../tasks/kms/add-measurement.ts"))
    .build(),
  change("remove-measurement", "Takes a measurement of KMS nodes off the list", "Aggregated measurement")
    .setAction(() => import("../tasks/kms/remove-measurement.ts"))
    .build(),
  change("set-app-implementation", "Chooses the code of apps that a KMS creates from now on", "Address of the code")
    .setAction(() => import("../tasks/kms/set-app-implementation.ts"))
    .build(),
];

function change(name: string, description: string, value: string) {
  return task(["dstack", "kms", name], withExample(description, `kms ${name} 0x… --kms 0x…`))
    .addPositionalArgument({ name: "value", description: value, type: ArgumentType.STRING, defaultValue: "" })
    .addOption(kmsOption)
    .addOption(cvmOfKmsOption)
    .addOption(batchOption)
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .addFlag(yesFlag);
}
