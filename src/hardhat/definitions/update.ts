import { task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import { acceptOption, appOption, cvmOption, jsonFlag, kmsOption, optional, withExample } from "../options.ts";

export const updateTasks = [
  task(
    ["dstack", "update"],
    withExample(
      "Updates a CVM: asks the cloud, compares its hash with ours, allows device and hash on chain, confirms; interrupted, the same command goes on where it stopped",
      "update --cvm my-app --compose docker-compose.yml -e TOKEN,API_URL --wait",
    ),
  )
    .addOption({ ...cvmOption, description: "Name or id of the CVM (default: the one that dstack.apps has for --app)" })
    .addOption({ ...appOption, description: "The CVM's app: 0x…, app_…, or its name in dstack.apps" })
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
    .addFlag({ name: "clearEnvironment", description: "Take every variable away; nobody can read the values back" })
    .addOption({
      ...kmsOption,
      description: "The DstackKms that must vouch for the environment's key (default: dstack.kms or DSTACK_KMS)",
    })
    .addOption(optional("allowDevice", "The one device that may be allowed, if the cloud names a new one"))
    .addFlag({ name: "noNewDevice", description: "Stop if the cloud names a device that the app does not allow" })
    .addOption(acceptOption)
    .addOption(optional("acceptHashMismatch", "The one other hash that may be allowed, as the error named it"))
    .addOption(optional("abandonTransaction", "The one recorded transaction to give up, as the error named it"))
    .addOption(optional("journal", "File that remembers what was paid (default: .dstack/journal.jsonl)"))
    .addFlag({ name: "wait", description: "Follow the CVM until it runs the new compose" })
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/update.ts"))
    .build(),
];
