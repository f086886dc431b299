import { emptyTask, task } from "hardhat/config";
import { ArgumentType } from "hardhat/types/arguments";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Command } from "../commands/host.ts";
import { kmsChanges } from "../commands/kms-changes.ts";
import {
  acceptOption,
  appOption,
  changingTask,
  cvmOption,
  fromBlockOption,
  indexOption,
  jsonFlag,
  kmsOption,
  optional,
  sendingTask,
  several,
  storeOption,
  withExample,
} from "./options.ts";

const devices = several("devices", "Device ids, or names of nodes in the cloud");

export const deviceTasks = [
  emptyTask(["dstack", "device"], "Devices that an app may boot on").build(),
  task(
    ["dstack", "device", "list"],
    withExample(
      "Lists an app's devices: when and by which account each was allowed, its nodes and its CVMs",
      "device list --cvm my-app",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/device.ts")).deviceList))
    .build(),
  changingTask(
    ["dstack", "device", "add"],
    withExample("Allows an app to boot on devices", "device add node-2 --cvm my-app"),
  )
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("device add"))
    .setAction(run(async () => (await import("../commands/device.ts")).deviceAdd))
    .build(),
  changingTask(
    ["dstack", "device", "remove"],
    withExample("Removes devices from an app's list", "device remove 0x… --cvm my-app"),
  )
    .addVariadicArgument(devices)
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("device remove"))
    .setAction(run(async () => (await import("../commands/device.ts")).deviceRemove))
    .build(),
  changingTask(
    ["dstack", "device", "allow-any"],
    withExample(
      "Allows an app to boot on any device that the KMS trusts (on), or on listed devices only (off)",
      "device allow-any off --cvm my-app",
    ),
  )
    .addPositionalArgument({ name: "state", description: "on or off", type: ArgumentType.STRING, defaultValue: "" })
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("device allow-any"))
    .setAction(run(async () => (await import("../commands/device.ts")).deviceAllowAny))
    .build(),
];

export const bootCheckTasks = [
  task(
    ["dstack", "boot-check"],
    withExample(
      "Checks whether an app would boot: shows the result of every rule of the KMS and the app, and the contract's own answer",
      "boot-check --cvm my-app --hash 0x…",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(optional("hash", "Compose hash (default: the CVM's)"))
    .addOption(optional("device", "Device id (default: the CVM's)"))
    .addOption(optional("osImage", "Hash of the OS image (default: the CVM's)"))
    .addOption(optional("tcbStatus", "TCB status that the device reports (default: UpToDate)"))
    .addOption(acceptOption("boot-check"))
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/boot-check.ts")).bootCheck))
    .build(),
];

export const updateTasks = [
  sendingTask(
    ["dstack", "update"],
    withExample(
      "Updates a CVM: sends the change to the cloud, compares the cloud's compose hash with the computed one, allows device and hash on chain, and confirms to the cloud; if it was interrupted, the same command continues",
      "update --cvm my-app --compose docker-compose.yml -e TOKEN,API_URL --wait",
    ),
  )
    .addOption({ ...cvmOption, description: "Name or id of the CVM (default: every CVM of --app)" })
    .addOption({ ...appOption, description: "App of the CVM: 0x…, app_…, or its name in dstack.apps" })
    .addOption(optional("compose", "New docker compose file"))
    .addOption(optional("preLaunchScript", "File with the new pre-launch script"))
    .addOption(
      optional(
        "revision",
        "Go back to a revision of the app instead: its id, its number, its compose hash, or previous",
      ),
    )
    .addOption({
      name: "env",
      shortName: "e",
      description:
        "Environment variables to send, separated by commas: NAME takes the value from this process's environment; NAME=VALUE shows the value to other processes and the shell's history",
      type: ArgumentType.STRING_WITHOUT_DEFAULT,
      defaultValue: undefined,
    })
    .addOption(optional("envFile", "File with the complete new environment, one NAME=value per line"))
    .addFlag({
      name: "clearEnvironment",
      description: "Remove all variables; the values are then lost",
    })
    .addOption({
      ...kmsOption,
      description: "DstackKms that must have signed the encryption key (default: dstack.kms or DSTACK_KMS)",
    })
    .addOption(optional("allowDevice", "The only new device that this update may allow"))
    .addFlag({ name: "noNewDevice", description: "Stop if the cloud names a device that the app does not allow" })
    .addOption(acceptOption("update"))
    .addOption(
      optional("acceptHashMismatch", "The only other compose hash that this update may allow, copied from the error"),
    )
    .addOption(
      optional("abandonTransaction", "The recorded transaction whose nonce is used for nothing, if it still waits"),
    )
    .addFlag({ name: "wait", description: "Wait until the CVM runs the new compose" })
    .addFlag({
      name: "prepare",
      description: "For an owner that is not a key: let the cloud keep the update, and write the plan of --plan",
    })
    .addFlag({ name: "commit", description: "Finish the prepared update of --plan when the owners have executed it" })
    .addOption(optional("plan", "File of the plan, for --prepare and --commit"))
    .setAction(run(async () => (await import("../commands/update.ts")).updateCommand))
    .build(),
];

const cvmOfKmsOption = optional("cvm", "Name or id of a CVM; the cloud names its KMS");

export const kmsTasks = [
  emptyTask(["dstack", "kms"], "The KMS contract: registers apps, and allows OS images and KMS nodes").build(),
  task(
    ["dstack", "kms", "show"],
    withExample(
      "Shows the owner of a KMS, its settings for new apps, and whether it allows the given values",
      "kms show --kms 0x… --os-image 0x…",
    ),
  )
    .addOption(kmsOption)
    .addOption(cvmOfKmsOption)
    .addOption(optional("osImage", "OS image hashes to check, separated by commas"))
    .addOption(optional("device", "Device ids of KMS nodes to check, separated by commas"))
    .addOption(optional("measurement", "Aggregated measurements of KMS nodes to check, separated by commas"))
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/kms.ts")).kmsShow))
    .build(),
  ...kmsChanges.map((change) =>
    changingTask(["dstack", "kms", change.name], withExample(change.description, `kms ${change.name} 0x… --kms 0x…`))
      .addPositionalArgument({
        name: "value",
        description: change.argument,
        type: ArgumentType.STRING,
        defaultValue: "",
      })
      .addOption(kmsOption)
      .addOption(cvmOfKmsOption)
      .addOption(acceptOption("kms"))
      .setAction(run(async () => (await import("../commands/kms.ts")).kmsChange(change)))
      .build(),
  ),
];

export const upTasks = [
  task(
    ["dstack", "up"],
    withExample(
      "Starts a local chain, the contracts and a mock cloud that the official clients can use",
      "up --state world.sqlite --admin",
    ),
  )
    .addOption(optional("chainPort", "Port of the chain's RPC; 0 chooses a free port (default: 8545)"))
    .addOption(optional("cloudPort", "Port of the cloud API; 0 chooses a free port (default: 4000)"))
    .addOption(optional("state", "File that stores the state across restarts (default: in memory)"))
    .addOption(
      optional(
        "chainId",
        "Id of the new chain; one that no chain has makes signatures worthless elsewhere (default: 8453)",
      ),
    )
    .addOption(optional("blockTime", "Milliseconds per block, 200 on Base (default: one block per transaction)"))
    .addOption(optional("safeLag", "Seconds until a block is safe, about 73 on Base (default: 0)"))
    .addOption(optional("finalizedLag", "Seconds until a block is finalized, about 1235 on Base (default: --safe-lag)"))
    .addOption(
      optional(
        "safe",
        "A Safe that owns the on-chain app, as SIGNATURES/OWNERS[@VERSION], such as 2/3 (default: none)",
      ),
    )
    .addOption(optional("fork", "RPC URL of Base or Ethereum, to fork it"))
    .addOption(optional("at", "Block to fork: a number, safe or finalized (default: the newest)"))
    .addOption(optional("record", "File that keeps what the fork asks, for --offline"))
    .addOption(optional("offline", "File of --record to fork instead of --fork; no endpoint is asked"))
    .addOption(
      optional("adopt", "Apps whose CVMs the mock cloud takes over, separated by commas: 0x… or names in dstack.apps"),
    )
    .addOption(optional("cvms", "File of these CVMs: read if it exists, else written from the configured cloud"))
    .addFlag({ name: "takeOwnership", description: "Make the world's account the owner of adopted apps, on the fork" })
    .addOption(optional("chainRpc", "RPC URL of an existing chain to use instead of a new one; needs --kms"))
    .addOption(
      optional("kms", "Address of the DstackKms on that chain, or on the forked one (default: that of --adopt)"),
    )
    .addOption(
      optional("finality", "Finality an update's registration needs: latest, safe, finalized (default: latest)"),
    )
    .addOption(optional("allowedHosts", "Further host names that both servers accept, separated by commas"))
    .addOption(
      optional(
        "allowedOrigins",
        "Origins of web pages that may call both servers, separated by commas (default: none)",
      ),
    )
    .addFlag({ name: "deviceLogin", description: "Give `phala login` an API key without approval" })
    .addFlag({ name: "privateWebhooks", description: "Allow webhooks to private and link-local addresses" })
    .addFlag({ name: "admin", description: "Enable the admin endpoints: clock, faults, snapshots" })
    .addFlag({ name: "json", description: "Print one JSON object when everything is ready" })
    .setAction(run(async () => (await import("../commands/up.ts")).upCommand))
    .build(),
];

export const statusTasks = [
  task(
    ["dstack", "status"],
    withExample(
      "Shows an app's owner, its allowed hashes and devices with their dates, its CVMs, and the linter's findings",
      "status --app my-app --network base",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(kmsOption)
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addOption(
      optional(
        "failOn",
        "Exit code 6 for findings from this severity on, 4 if the cloud does not answer: error, warning",
      ),
    )
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/status.ts")).statusCommand))
    .build(),
  task(
    ["dstack", "history"],
    withExample(
      "Lists every change of an app's policy: block, time, transaction and sender",
      "history --app my-app --at 2026-11-21",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("at", "Show what the app allowed at a block or a date (2026-11-21: the end of that day, UTC)"))
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addFlag({ name: "prove", description: "Prove with eth_getProof that the contract allows nothing else" })
    .addFlag({ name: "csv", description: "Print comma-separated values with a header line" })
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/history.ts")).showHistory))
    .build(),
];

export const pruneTasks = [
  changingTask(
    ["dstack", "prune"],
    withExample(
      "Removes the compose hashes that are no longer needed, and prints for each hash why it stays or is removed",
      "prune --app my-app --keep 5 --older-than 30d --dry-run",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(optional("keep", "Number of newest hashes to keep even if they are not in use (default: 3)"))
    .addOption(optional("olderThan", "Remove only hashes that were added longer ago than this: 30d, 12h, 90m"))
    .addOption(optional("pin", "Hashes to keep, separated by commas; dstack.apps can pin more"))
    .addOption(
      optional("queued", "Calls queued in a Safe or timelock, whose hashes to keep: files or 0x…, separated by commas"),
    )
    .addFlag({ name: "allowEmpty", description: "Allow the removal of the last hash on the list" })
    .addFlag({ name: "prove", description: "Prove with eth_getProof that no hash is on the list without an event" })
    .addOption(storeOption)
    .addOption(fromBlockOption)
    .addOption(indexOption)
    .addOption(acceptOption("prune"))
    .setAction(run(async () => (await import("../commands/prune.ts")).pruneCommand))
    .build(),
];

export const batchTasks = [
  emptyTask(["dstack", "batch"], "The account's delegation to the batch executor").build(),
  sendingTask(
    ["dstack", "batch", "undo-delegation"],
    withExample(
      "Ends the account's delegation to the batch executor; the account then has no code",
      "batch undo-delegation --network base",
    ),
  )
    .addOption(optional("delegate", "Address of the delegate, if it is not the batch executor"))
    .setAction(run(async () => (await import("../commands/batch.ts")).batchUndoDelegation))
    .build(),
];

export const ownerTasks = [
  emptyTask(["dstack", "owner"], "The owner of an app").build(),
  task(
    ["dstack", "owner", "show"],
    withExample(
      "Shows the owner and the pending owner of an app, and whether each is a key or a contract",
      "owner show --app my-app",
    ),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addFlag(jsonFlag)
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerShow))
    .build(),
  changingTask(
    ["dstack", "owner", "transfer"],
    withExample(
      "Transfers an app to another owner; a contract with two-step transfers then waits for that owner to accept",
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
    .addOption(acceptOption("owner transfer"))
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerTransfer))
    .build(),
  changingTask(
    ["dstack", "owner", "accept"],
    withExample("Accepts the ownership of an app as its pending owner", "owner accept --app my-app"),
  )
    .addOption(appOption)
    .addOption(cvmOption)
    .addOption(acceptOption("owner accept"))
    .setAction(run(async () => (await import("../commands/owner.ts")).ownerAccept))
    .build(),
];

/** The action of a task: loads its command when the task runs, with Hardhat as its host. */
export function run<Arguments>(load: () => Promise<Command<Arguments>>) {
  return async () => {
    const [command, { hostOf }] = await Promise.all([load(), import("./connect.ts")]);
    return {
      default: (args: Arguments, hre: HardhatRuntimeEnvironment): Promise<number> => command(args, hostOf(hre)),
    };
  };
}
