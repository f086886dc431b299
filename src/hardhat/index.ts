import { emptyTask } from "hardhat/config";
import { definePlugin } from "hardhat/plugins";
import type { HardhatPlugin } from "hardhat/types/plugins";
import {
  appTasks,
  batchTasks,
  bootCheckTasks,
  deviceTasks,
  hashTasks,
  kmsTasks,
  ownerTasks,
  pruneTasks,
  statusTasks,
  updateTasks,
  upTasks,
} from "./tasks.ts";
import { txTasks } from "./tx-tasks.ts";

export type * from "./type-extensions.ts";

/** Tasks for apps on dstack / Phala Cloud, all under `hardhat dstack`. */
const dstack: HardhatPlugin = definePlugin({
  id: "dstack-toolkit",
  npmPackage: "dstack-toolkit",
  hookHandlers: { config: () => import("./config.ts") },
  tasks: [
    emptyTask("dstack", "Confidential VMs on dstack / Phala Cloud").build(),
    ...upTasks,
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
    ...txTasks,
  ],
});

export default dstack;
