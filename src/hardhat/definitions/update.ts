import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { acceptOption, cvmOption, jsonFlag, optional, withExample } from "../options.ts";

export const updateTasks = [
  task(
    ["dstack", "update"],
    withExample(
      "Updates a CVM: asks the cloud, compares its hash with ours, allows device and hash on chain, confirms; interrupted, the same command goes on where it stopped",
      "update --cvm my-app --compose docker-compose.yml -e TOKEN,API_URL --wait",
    ),
  )
    .addOption({ ...cvmOption, description: "Name or id of the CVM" })
    .addOption(optional("compose", "The new docker compose file"))
    .addOption(optional("preLaunchScript", "File with the new pre-launch script"))
    .addOption({
      name: "env",
      shortName: "e",
      description: "Names of variables, separated by commas, whose values are taken from the environment",
      type: ArgumentType.STRING_WITHOUT_DEFAULT,
      defaultValue: undefined,
    })
    .addOption(optional("envFile", "File with the whole new environment, one NAME=value a line"))
    .addOption(acceptOption)
    .addOption(optional("acceptHashMismatch", "The one other hash that may be allowed, as the error named it"))
    .addOption(optional("abandonTransaction", "The one recorded transaction to give up, as the error named it"))
    .addOption(optional("journal", "File that remembers what was paid (default: .dstack/journal.jsonl)"))
    .addFlag({ name: "wait", description: "Follow the CVM until it runs the new compose" })
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/update.ts"))
    .build(),
];
