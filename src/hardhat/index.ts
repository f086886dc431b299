import { emptyTask, task } from "hardhat/config";
import { definePlugin } from "hardhat/plugins";
import { ArgumentType } from "hardhat/types/arguments";
import type { HardhatPlugin } from "hardhat/types/plugins";
import { appTasks } from "./definitions/app.ts";
import { batchTasks } from "./definitions/batch.ts";
import { bootCheckTasks } from "./definitions/boot-check.ts";
import { deviceTasks } from "./definitions/device.ts";
import { hashTasks } from "./definitions/hash.ts";
import { kmsTasks } from "./definitions/kms.ts";
import { ownerTasks } from "./definitions/owner.ts";
import { pruneTasks } from "./definitions/prune.ts";
import { statusTasks } from "./definitions/status.ts";
import { updateTasks } from "./definitions/update.ts";

export type * from "./type-extensions.ts";

/** Tasks for apps on dstack / Phala Cloud, all of them below `hardhat dstack`. */
const dstack: HardhatPlugin = definePlugin({
  id: "dstack-toolkit",
  npmPackage: "dstack-toolkit",
  hookHandlers: { config: () => import("./config.ts") },
  tasks: [
    emptyTask("dstack", "Confidential VMs on dstack / Phala Cloud").build(),
    task(["dstack", "up"], "Starts a local world: chain, contracts and mock cloud, for the official clients")
      .addOption({
        name: "chainPort",
        description: "Port of the chain's RPC; 0 takes a free one (default: 8545)",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addOption({
        name: "cloudPort",
        description: "Port of the cloud API; 0 takes a free one (default: 4000)",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addOption({
        name: "state",
        description: "File that keeps the world across restarts (default: in memory)",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addOption({
        name: "fork",
        description: "RPC URL of Base, to start the chain as its fork",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addOption({
        name: "chainRpc",
        description: "RPC URL of an existing chain, to start none; needs --kms",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addOption({
        name: "kms",
        description: "Address of the DstackKms on that chain",
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
      .addFlag({ name: "admin", description: "Open the admin endpoints: clock, faults, snapshots" })
      .addFlag({ name: "json", description: "Print one JSON object once everything is up" })
      .setAction(() => import("./tasks/up.ts"))
      .build(),
    ...appTasks,
    ...hashTasks,
    ...updateTasks,
    ...ownerTasks,
    ...deviceTasks,
    ...statusTasks,
    ...bootCheckTasks,
    ...kmsTasks,
    ...pruneTasks,
    ...batchTasks,
  ],
});

export default dstack;
