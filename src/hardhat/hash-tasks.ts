import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import {
  acceptOption,
  appOption,
  changingTask,
  cvmOption,
  jsonFlag,
  optional,
  several,
  withExample,
} from "./options.ts";
import { run } from "./tasks.ts";

const hashes = several("hashes", "Compose hashes");

export const hashTasks = [
  task(
    ["dstack", "hash"],
    withExample(
      "Computes a file's compose hash in every official form; with --app or --cvm, compares it with the cloud and the contract and shows what differs",
      "hash docker-compose.yml --cvm my-app",
    ),
  )
    .addPositionalArgument({
      name: "file",
      description: "app-compose manifest or docker compose file",
      type: ArgumentType.STRING,
      defaultValue: "",
    })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("hash", "Another compose hash to explain"))
    .addOption(optional("name", "Name for the manifest, if the docker compose file belongs to no CVM (default: empty)"))
    .addOption(optional("preLaunchScript", "File with the pre-launch script of the docker compose file"))
    .addOption(acceptOption("hash"))
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/hash-doctor.ts")).hashDoctor))
    .build(),
  changingTask(
    ["dstack", "hash", "add"],
    withExample(
      "Allows compose hashes; with --remove, also removes others in the same batch",
      "hash add 0x… --cvm my-app",
    ),
  )
    .addVariadicArgument(hashes)
    .addOption(optional("remove", "Hashes to remove in the same batch, separated by commas"))
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("hash add"))
    .setAction(run(async () => (await import("../commands/hash.ts")).hashAdd))
    .build(),
  changingTask(
    ["dstack", "hash", "remove"],
    withExample("Removes compose hashes that are no longer needed", "hash remove 0x… --cvm my-app"),
  )
    .addVariadicArgument(hashes)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("hash remove"))
    .setAction(run(async () => (await import("../commands/hash.ts")).hashRemove))
    .build(),
  changingTask(
    ["dstack", "hash", "revoke"],
    withExample(
      "Removes vulnerable compose hashes at once, shows which CVMs still run them, and offers to stop these",
      'hash revoke 0x… --app my-app --note "CVE-2026-1234"',
    ),
  )
    .addVariadicArgument(hashes)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("note", "Why, for the people who read the output and the plan"))
    .addFlag({ name: "stop", description: "Stop every CVM that still runs a revoked hash, without asking for each" })
    .addOption(acceptOption("hash revoke"))
    .setAction(run(async () => (await import("../commands/hash-revoke.ts")).hashRevoke))
    .build(),
];
