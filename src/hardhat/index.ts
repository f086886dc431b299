import { emptyTask } from "hardhat/config";
import { definePlugin } from "hardhat/plugins";
import type { HardhatPlugin } from "hardhat/types/plugins";
import { type TaskDefinition, TaskDefinitionType } from "hardhat/types/tasks";
import { appTasks } from "./app-tasks.ts";
import { hashTasks } from "./hash-tasks.ts";
import { planTasks } from "./plan-tasks.ts";
import { rehearseTasks } from "./rehearse-tasks.ts";
import { safeTasks } from "./safe-tasks.ts";
import {
  batchTasks,
  bootCheckTasks,
  deviceTasks,
  kmsTasks,
  ownerTasks,
  pruneTasks,
  statusTasks,
  updateTasks,
  upTasks,
} from "./tasks.ts";
import { timelockTasks } from "./timelock-tasks.ts";
import { txTasks } from "./tx-tasks.ts";

export { dstackNetworks } from "./networks.ts";
export type * from "./type-extensions.ts";

/** Passes a task's name to its command, which prints it with --json. Hardhat does not tell an action its task. */
function withTaskName(definition: TaskDefinition): TaskDefinition {
  if (definition.type !== TaskDefinitionType.NEW_TASK || definition.action === undefined) return definition;
  const { id, action: load } = definition;
  const task = id.slice(1).join(" ");
  return {
    ...definition,
    action: async () => {
      const { default: act } = await load();
      return { default: (args, hre) => act({ ...args, task }, hre) };
    },
  };
}

/** Tasks for apps on dstack / Phala Cloud, all under `hardhat dstack`. */
const dstack: HardhatPlugin = definePlugin({
  id: "dstack-toolkit",
  npmPackage: "dstack-toolkit",
  hookHandlers: {
    config: () => import("./config.ts"),
    userInterruptions: () => import("./interruptions.ts"),
  },
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
    ...planTasks,
    ...rehearseTasks,
    ...safeTasks,
    ...batchTasks,
    ...timelockTasks,
    ...txTasks,
  ].map(withTaskName),
});

export default dstack;
