import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Command } from "../commands/host.ts";
import { kmsChanges } from "../commands/kms-changes.ts";
import {
  acceptOption,
  appOption,
  batchOption,
  cvmOption,
  fromBlockOption,
  jsonFlag,
  kmsOption,
  optional,
  several,
  storeOption,
  withExample,
  yesFlag,
} from "./options.ts";

const devices = several("devices", "Device ids, or names of nodes in the cloud");

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
    .setAction(run(async () => (await import("../commands/device.ts")).deviceList))
    .build(),
  task(["dstack", "device", "add"], withExample("Allows devices", "device add node-2 --cvm my-app"))
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("device add"))
    .addOption(batchOption)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/device.ts")).deviceAdd))
    .build(),
  task(["dstack", "device", "remove"], withExample("Takes devices off the list", "device remove 0x… --cvm my-app"))
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("device remove"))
    .addOption(batchOption)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/device.ts")).deviceRemove))
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
    .addOption(acceptOption("device allow-any"))
    .addOption(batchOption)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/device.ts")).deviceAllowAny))
    .build(),
];

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
    .addOption(acceptOption("boot-check"))
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/boot-check.ts")).bootCheck))
    .build(),
];

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
    .addOption(acceptOption("update"))
    .addOption(optional("acceptHashMismatch", "The one other hash that may be allowed, as the error named it"))
    .addOption(optional("abandonTransaction", "The one recorded transaction to give up, as the error named it"))
    .addOption(optional("journal", "File that remembers what was paid (default: .dstack/journal.jsonl)"))
    .addFlag({ name: "wait", description: "Follow the CVM until it runs the new compose" })
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/update.ts")).updateCommand))
    .build(),
];

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
    .setAction(run(async () => (await import("../commands/kms.ts")).kmsShow))
    .build(),
  ...kmsChanges.map((change) =>
    task(["dstack", "kms", change.name], withExample(change.description, `kms ${change.name} 0x… --kms 0x…`))
      .addPositionalArgument({
        name: "value",
        description: change.argument,
        type: ArgumentType.STRING,
        defaultValue: "",
      })
      .addOption(kmsOption)
      .addOption(cvmOfKmsOption)
      .addOption(batchOption)
      .addOption(acceptOption("kms"))
      .addFlag(jsonFlag)
      .addFlag(yesFlag)
      .setAction(run(async () => (await import("../commands/kms.ts")).kmsChange(change)))
      .build(),
  ),
];

export const upTasks = [
  task(
    ["dstack", "up"],
    withExample(
      "Starts a local world: chain, contracts and mock cloud, for the official clients",
      "up --state world.sqlite --admin",
    ),
  )
    .addOption(optional("chainPort", "Port of the chain's RPC; 0 takes a free one (default: 8545)"))
    .addOption(optional("cloudPort", "Port of the cloud API; 0 takes a free one (default: 4000)"))
    .addOption(optional("state", "File that keeps the world across restarts (default: in memory)"))
    .addOption(optional("fork", "RPC URL of Base, to start the chain as its fork"))
    .addOption(optional("chainRpc", "RPC URL of an existing chain, to start none; needs --kms"))
    .addOption(optional("kms", "Address of the DstackKms on that chain"))
    .addOption(optional("allowedHosts", "Further host names both servers answer to, separated by commas"))
    .addOption(
      optional(
        "allowedOrigins",
        "Origins of web pages that may call both servers, separated by commas (default: none)",
      ),
    )
    .addFlag({ name: "deviceLogin", description: "Let `phala login` have an API key, without anyone's approval" })
    .addFlag({ name: "privateWebhooks", description: "Let webhooks call private and link-local addresses too" })
    .addFlag({ name: "admin", description: "Open the admin endpoints: clock, faults, snapshots" })
    .addFlag({ name: "json", description: "Print one JSON object once everything is up" })
    .setAction(run(async () => (await import("../commands/up.ts")).upCommand))
    .build(),
];

export const statusTasks = [
  task(
    ["dstack", "status"],
    withExample(
      "Shows who owns an app, what it allows since when, which CVMs run it, and what looks wrong",
      "status --app my-app --network base",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/status.ts")).statusCommand))
    .build(),
  task(
    ["dstack", "history"],
    withExample(
      "Lists every change of an app's policy, with block, time, transaction and who made it",
      "history --app my-app --at 2026-11-21",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("at", "Tell what was allowed then: a block number or a date (2026-11-21 means its end, UTC)"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addFlag({ name: "prove", description: "Prove from the contract's storage that nothing else is allowed" })
    .addFlag({ name: "csv", description: "Print comma-separated values with a head line" })
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/history.ts")).showHistory))
    .build(),
];

export const pruneTasks = [
  task(
    ["dstack", "prune"],
    withExample(
      "Removes the compose hashes that nothing needs any more, and says of each one why it stays or goes",
      "prune --app my-app --keep 5 --older-than 30d --dry-run",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("keep", "How many of the newest hashes stay, in use or not (default: 3)"))
    .addOption(optional("olderThan", "Only hashes added longer ago than this go: 30d, 12h, 90m"))
    .addOption(optional("pin", "Hashes that stay, separated by commas; dstack.apps may pin some too"))
    .addOption(
      optional("queued", "Calls that wait in a Safe or timelock, whose hashes stay: files or 0x…, separated by commas"),
    )
    .addFlag({ name: "allowEmpty", description: "Remove even the last hash of the list" })
    .addFlag({ name: "dryRun", description: "Show the plan and send nothing" })
    .addOption(optional("plan", "File to write the plan to, or to carry out if it is there"))
    .addOption(batchOption)
    .addFlag({ name: "prove", description: "Prove by eth_getProof that the list has no hash the events hide" })
    .addOption(optional("journal", "File that remembers what was signed (default: one per app in .dstack)"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(acceptOption("prune"))
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(run(async () => (await import("../commands/prune.ts")).pruneCommand))
    .build(),
];

export const batchTasks = [
  emptyTask(["dstack", "batch"], "What several changes in one transaction leave behind").build(),
  task(
    ["dstack", "batch", "undo-delegation"],
    withExample(
      "Ends the delegation to the batch executor that --batch 7702 has begun: the account has no code again",
      "batch undo-delegation --network base",
    ),
  )
    .addOption(optional("delegate", "The contract to leave, if it is not the batch executor"))
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(run(async () => (await import("../commands/batch.ts")).batchUndoDelegation))
    .build(),
];

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
    .addOption(acceptOption("app deploy"))
    .addOption(optional("journal", "File that remembers deployments (default: .dstack/deployments.jsonl)"))
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/app-deploy.ts")).appDeploy))
    .build(),
];

const hashes = several("hashes", "Compose hashes");

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
    .addOption(acceptOption("hash"))
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/hash-doctor.ts")).hashDoctor))
    .build(),
  task(
    ["dstack", "hash", "add"],
    withExample("Allows compose hashes; with --remove, in place of others in one go", "hash add 0x… --cvm my-app"),
  )
    .addVariadicArgument(hashes)
    .addOption(optional("remove", "Hashes to remove in the same transaction, separated by commas"))
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("hash add"))
    .addOption(batchOption)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/hash.ts")).hashAdd))
    .build(),
  task(
    ["dstack", "hash", "remove"],
    withExample("Removes compose hashes that nothing needs any more", "hash remove 0x… --cvm my-app"),
  )
    .addVariadicArgument(hashes)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("hash remove"))
    .addOption(batchOption)
    .addFlag(yesFlag)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/hash.ts")).hashRemove))
    .build(),
];

export const ownerTasks = [
  emptyTask(["dstack", "owner"], "Who may change an app").build(),
  task(
    ["dstack", "owner", "show"],
    withExample("Shows who owns an app, who is invited to, and what stands behind them", "owner show --app my-app"),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerShow))
    .build(),
  task(
    ["dstack", "owner", "transfer"],
    withExample(
      "Transfers an app to another owner, which must accept it where the contract knows two steps",
      "owner transfer 0x… --app my-app",
    ),
  )
    .addPositionalArgument({
      name: "address",
      description: "Address of the new owner",
      type: ArgumentType.STRING,
      defaultValue: "",
    })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(batchOption)
    .addOption(acceptOption("owner transfer"))
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerTransfer))
    .build(),
  task(
    ["dstack", "owner", "accept"],
    withExample("Accepts the ownership of an app, as the invited owner", "owner accept --app my-app"),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(batchOption)
    .addOption(acceptOption("owner accept"))
    .addFlag(jsonFlag)
    .addFlag(yesFlag)
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerAccept))
    .build(),
];

/** The action of a task: loads its command when the task runs, with Hardhat as its host. */
function run<Arguments>(load: () => Promise<Command<Arguments>>) {
  return async () => {
    const [command, { hostOf }] = await Promise.all([load(), import("./connect.ts")]);
    return {
      default: (args: Arguments, hre: HardhatRuntimeEnvironment): Promise<number> => command(args, hostOf(hre)),
    };
  };
}
