import { emptyTask } from "hardhat/config";
import { type NewTaskDefinition, type TaskDefinition, TaskDefinitionType } from "hardhat/types/tasks";
import type { Command } from "../commands/host.ts";
import { appTasks } from "./app-tasks.ts";
import { kmsOption, optional, withExample } from "./options.ts";
import { planTasks } from "./plan-tasks.ts";
import { ownerTasks, pruneTasks, run, updateTasks } from "./tasks.ts";

const stageOptions = [
  optional("rpc", "RPC URL of the live chain, to fork it (default: the network's own)"),
  optional("at", "Block to fork: its number, safe or finalized (default: the newest)"),
  optional("cvms", "File of the app's CVMs (default: the cloud is asked, if there is an API key)"),
  optional("record", "File that keeps what the endpoint answers, for --offline"),
  optional("offline", "File with those answers: the rehearsal is repeated without the endpoint and without the cloud"),
  optional("markdown", "File for the report in Markdown"),
  optional("proposer", "Account that proposes in the timelock (default: one that the timelock's events name)"),
  kmsOption,
];

/** Options that mean nothing where nothing is sent, or that a fork and a mock cloud with the present documents cannot serve. */
const ofSending = [
  ...["dryRun", "yes", "ledger", "plan", "until", "replace", "transactionHash", "maxFee"],
  ...["prepare", "commit", "wait", "abandonTransaction", "index", "store", "prove"],
  "revision",
];

/** A task with the arguments of the one that it rehearses, and those of every rehearsal. */
function rehearsalOf<Arguments>(
  tasks: readonly TaskDefinition[],
  id: string,
  { name, description, load }: { name: string; description: string; load: () => Promise<Command<Arguments>> },
): NewTaskDefinition {
  const real = tasks.find((task) => task.id.join(" ") === `dstack ${id}`);
  if (real?.type !== TaskDefinitionType.NEW_TASK) throw new TypeError(`There is no task dstack ${id}.`);
  const own = Object.entries(real.options).filter(([option]) => !ofSending.includes(option));
  return {
    ...{ type: real.type, positionalArguments: real.positionalArguments },
    id: ["dstack", "rehearse", name],
    description,
    options: { ...Object.fromEntries(stageOptions.map((option) => [option.name, option])), ...Object.fromEntries(own) },
    // Hardhat passes the values of the arguments above.
    action: run(load) as NonNullable<NewTaskDefinition["action"]>,
  };
}

export const rehearseTasks = [
  emptyTask(["dstack", "rehearse"], "Tries a change of a live app on a fork of its chain, and sends nothing").build(),
  rehearsalOf(pruneTasks, "prune", {
    name: "prune",
    description: withExample(
      "Rehearses a prune: which hashes would go, as the app's real owner, and whether each CVM boots afterwards",
      "rehearse prune --app my-app --keep 0 --network base",
    ),
    load: async () => (await import("../commands/rehearse.ts")).rehearsePrune,
  }),
  rehearsalOf(updateTasks, "update", {
    name: "update",
    description: withExample(
      "Rehearses an update: the cloud's hash, what the owner must allow, and the restart with the new document",
      "rehearse update --cvm my-app --compose docker-compose.yml --network base",
    ),
    load: async () => (await import("../commands/rehearse.ts")).rehearseUpdate,
  }),
  rehearsalOf(ownerTasks, "owner transfer", {
    name: "owner-transfer",
    description: withExample(
      "Rehearses a transfer of an app: whether the new owner can accept, allow a hash and remove it",
      "rehearse owner-transfer 0x… --app my-app --network base",
    ),
    load: async () => (await import("../commands/rehearse.ts")).rehearseOwnerTransfer,
  }),
  rehearsalOf(appTasks, "app upgrade", {
    name: "app-upgrade",
    description: withExample(
      "Rehearses an upgrade of an app's code, as its real owner",
      "rehearse app-upgrade --app my-app --contract MyApp --network base",
    ),
    load: async () => (await import("../commands/rehearse.ts")).rehearseAppUpgrade,
  }),
  rehearsalOf(planTasks, "plan apply", {
    name: "plan",
    description: withExample(
      "Rehearses a plan that a task wrote with --plan: checks it, and executes it as its real owner",
      "rehearse plan plan.json --network base",
    ),
    load: async () => (await import("../commands/rehearse.ts")).rehearsePlan,
  }),
];
