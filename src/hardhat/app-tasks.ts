import { emptyTask } from "hardhat/config";
import {
  acceptOption,
  appOption,
  changingTask,
  cvmOption,
  fromBlockOption,
  indexOption,
  kmsOption,
  optional,
  sendingTask,
  storeOption,
  withExample,
} from "./options.ts";
import { run } from "./tasks.ts";

export const appTasks = [
  emptyTask(["dstack", "app"], "Deploys and upgrades apps").build(),
  sendingTask(
    ["dstack", "app", "deploy"],
    withExample(
      "Deploys an app through the factory of a KMS; repeating the same command returns the same app",
      "app deploy --kms 0x… --hash 0x… --device node-1 --network base",
    ),
  )
    .addOption({ ...kmsOption, description: "Address of the DstackKms (default: dstack.kms or DSTACK_KMS)" })
    .addOption(optional("owner", "Owner of the app (default: the signer)"))
    .addOption(optional("hash", "First compose hash to allow"))
    .addOption(optional("device", "First device to allow: an id, or the name of a node in the cloud"))
    .addFlag({ name: "allowAnyDevice", description: "Allow the app to boot on any device that the KMS trusts" })
    .addFlag({ name: "requireTcbUpToDate", description: "Refuse devices whose TCB is not up to date" })
    .addFlag({ name: "disableUpgrades", description: "Disable upgrades of the app's code permanently" })
    .addFlag({ name: "again", description: "Deploy another app although this command has already deployed one" })
    .addOption(optional("contract", "Contract of this project to deploy (default: the KMS's own, by its factory)"))
    .addOption(optional("initialize", "Call that initialises --contract: FUNCTION(value, …) (default: initialize)"))
    .addOption(acceptOption("app deploy"))
    .setAction(run(async () => (await import("../commands/app-deploy.ts")).appDeploy))
    .build(),
  changingTask(
    ["dstack", "app", "upgrade"],
    withExample(
      "Upgrades an app to another implementation, after a simulation on the node: the app must keep its data, its owner and its boots",
      "app upgrade --cvm my-app --contract MyApp",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(optional("implementation", "Address of the new implementation, which is deployed already"))
    .addOption(
      optional("contract", "Contract of this project that is the new implementation; deployed if it is not yet"),
    )
    .addOption(optional("from", "Contract of this project that the app runs today (default: a public release)"))
    .addOption(optional("initialize", "Call of the new code in the same transaction: FUNCTION(value, …), or calldata"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addOption(acceptOption("app upgrade"))
    .setAction(run(async () => (await import("../commands/app-upgrade.ts")).appUpgrade))
    .build(),
];
