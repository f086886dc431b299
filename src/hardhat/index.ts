import { emptyTask } from "hardhat/config";
import { definePlugin } from "hardhat/plugins";
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
import { upTasks } from "./definitions/up.ts";
import { updateTasks } from "./definitions/update.ts";

export type * from "./type-extensions.ts";

/** Tasks for apps on dstack / Phala Cloud, all of them below `hardhat dstack`. */
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
  ],
});

export default dstack;
