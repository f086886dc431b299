// One task of a project in a process of its own, so that a test can kill it. Its settings come as JSON on stdin: a key
// has no place among the arguments.
import { text } from "node:stream/consumers";
import type { DstackUserConfig } from "../../../src/hardhat/type-extensions.ts";
import { projectOf, type WorldOfProject } from "./run-task.ts";

export interface TaskProcessSettings {
  readonly world: WorldOfProject;
  readonly config: DstackUserConfig;
  /** The folder of the project. */
  readonly root: string;
  readonly task: readonly string[];
  readonly args: Readonly<Record<string, unknown>>;
}

const { world, config, root, task, args }: TaskProcessSettings = JSON.parse(await text(process.stdin));
const hre = await projectOf(world, config, {}, { network: "world" }, root);
process.exitCode = await hre.tasks.getTask(["dstack", ...task]).run({ ...args });
