import { emptyTask, task } from "hardhat/config";
import { acceptOption, jsonFlag, kmsOption, optional, withExample, yesFlag } from "../options.ts";

export const appTasks = [
  emptyTask(["dstack", "app"], "Apps as a whole").build(),
  task(
    ["dstack", "app", "deploy"],
    withExample(
      "Deploys an app through the factory of a KMS; the same command again answers the same app",
      "app deploy --kms 0x… --hash 0x… --device node-1 --network base",
    ),
  )
    .addOption({ ...kmsOption, description: "Address of the DstackKms (default: dstack.kms or DSTACK_KMS)" })
    .addOption(optional("owner", "Who may change the app (default: the signer)"))
    .addOption(optional("hash", "Its first compose hash"))
    .addOption(optional("device", "Its first device: an id, or the name of a node in the cloud"))
    .addFlag({ name: "allowAnyDevice", description: "Let any device boot that the KMS trusts" })
    .addFlag({ name: "requireTcbUpToDate", description: "Refuse machines that are not fully patched" })
    .addFlag({ name: "disableUpgrades", description: "Make the app's code final: there is no way back" })
    .addFlag({ name: "again", description: "Deploy one more, although this very app was deployed before" })
    .addOption(acceptOption)
    .addOption(optional("journal", "File that remembers deployments (default: .dstack/deployments.jsonl)"))
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(() => import("../tasks/app/deploy.ts"))
    .build(),
];
