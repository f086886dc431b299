import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { appOption, cvmOption, jsonFlag, optional, withExample } from "../options.ts";

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
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/hash/doctor.ts"))
    .build(),
];
