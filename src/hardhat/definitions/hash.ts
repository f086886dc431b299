import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import {
  acceptOption,
  appOption,
  batchOption,
  cvmOption,
  jsonFlag,
  optional,
  several,
  withExample,
  yesFlag,
} from "../options.ts";

const hashes = several("hashes", "Compose hashes");
const waive = optional(
  "waive",
  "What to overlook, by name: in-use, pinned, running-hashes, prepare-tokens, no-effect; separated by commas",
);

export const hashTasks = [
  task(
    ["dstack", "hash"],
    withExample(
      "Computes a file's compose hash in every official form; with --app or --cvm, says which one the cloud and the contract mean, or what differs",
      "hash docker-compose.yml --cvm my-app",
    ),
  )
    .addPositionalArgument({
      name: "file",
      description: "The app-compose manifest, or the docker compose file",
      type: ArgumentType.STRING,
      defaultValue: "",
    })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("hash", "A compose hash from elsewhere, to be explained"))
    .addOption(optional("name", "The name in the manifest, for a docker compose file of no CVM (default: empty)"))
    .addOption(optional("preLaunchScript", "File with the pre-launch script that goes with the docker compose file"))
    .addOption(acceptOption)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/hash/doctor.ts"))
    .build(),
  task(
    ["dstack", "hash", "add"],
    withExample("Allows compose hashes; with --remove, in place of others in one go", "hash add 0x… --cvm my-app"),
  )
    .addVariadicArgument(hashes)
    .addOption(optional("remove", "Hashes to remove in the same transaction, separated by commas"))
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption)
    .addOption(batchOption)
    .addOption(waive)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/hash/add.ts"))
    .build(),
  task(
    ["dstack", "hash", "remove"],
    withExample("Removes compose hashes that nothing needs any more", "hash remove 0x… --cvm my-app"),
  )
    .addVariadicArgument(hashes)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption)
    .addOption(batchOption)
    .addOption(waive)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/hash/remove.ts"))
    .build(),
];
