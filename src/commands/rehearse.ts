import { join } from "node:path";
import { isAddressEqual, keccak256, stringToHex, zeroAddress } from "viem";
import { getBlock } from "viem/actions";
import { z } from "zod";
import { parseAddress } from "../chain/client.ts";
import { readGeneration } from "../chain/generation.ts";
import { readOwnership } from "../chain/read-app.ts";
import { readOwner } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { type AppId, parseComposeHash } from "../core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../core/owner-calls.ts";
import { readPackageVersion } from "../files/package-version.ts";
import { shellWord } from "../output/format.ts";
import { type ChangePlan, type OwnerKind, ownerKindOf } from "../plans/change-plan.ts";
import { checkPlan } from "../plans/check-plan.ts";
import { createChangePlan } from "../plans/create-change-plan.ts";
import { loadPlan } from "../plans/plan-file.ts";
import type { RehearsedWork } from "../rehearsal/rehearse.ts";
import type { RehearsedPhase } from "../rehearsal/report.ts";
import { devAccount } from "../world/chain/client.ts";
import type { AppUpgradeArguments } from "./app-upgrade.ts";
import type { Command } from "./host.ts";
import type { OwnerTransferArguments } from "./owner.ts";
import type { PlanCheckArguments } from "./plan.ts";
import type { PruneArguments } from "./prune.ts";
import type { OpenStage } from "./rehearsal-stage.ts";
import type { TaskOutcome } from "./run.ts";
import { orRefusal, type RehearseArguments, type Rehearsing, runRehearsal } from "./run-rehearsal.ts";
import type { UpdateArguments } from "./update-arguments.ts";

export const rehearsePrune: Command<PruneArguments & RehearseArguments> = (args, host) =>
  runRehearsal(args, host, async () => ({
    subject: "prune",
    target: args,
    work: async ({ io, planning, stage, execute }) => {
      const { prune } = await import("./prune.ts");
      const file = join(stage.folder, "plan.json");
      const planned = await orRefusal(() => prune(inner(args, "prune", file), planning, io));
      if ("refusal" in planned) return refused(planned.refusal);
      if (!isWritten(planned.done)) return nothing;
      return { ...(await executeFile(file, { execute })), warnings: warningsIn(planned.done) };
    },
    next: (kind) => changingCommands("prune", args, kind),
  }));

export const rehearseAppUpgrade: Command<AppUpgradeArguments & RehearseArguments> = (args, host) =>
  runRehearsal(args, host, async () => ({
    subject: "app upgrade",
    target: args,
    work: async ({ io, planning, stage, execute }) => {
      const { upgrade } = await import("./app-upgrade.ts");
      const file = join(stage.folder, "plan.json");
      // The account deploys the implementation on the fork. It owns nothing of the app.
      const deploying = { ...planning, readSigner: async () => devAccount(0) };
      const planned = await orRefusal(() => upgrade(io, inner(args, "app upgrade", file), deploying));
      if ("refusal" in planned) return refused(planned.refusal);
      if (!isWritten(planned.done)) return nothing;
      const limits = args.contract === undefined ? [] : [withoutDeployment];
      return { ...(await executeFile(file, { execute })), limits, warnings: warningsIn(planned.done) };
    },
    next: (kind) => changingCommands("app upgrade", args, kind),
  }));

const withoutDeployment =
  "If the implementation is not deployed yet, its deployment comes first. On the fork, an account of its own deployed it. So the price does not include it, and live it can have another address.";

export const rehearseOwnerTransfer: Command<OwnerTransferArguments & RehearseArguments> = (args, host) =>
  runRehearsal(args, host, async () => ({
    subject: "owner transfer",
    target: args,
    work: (rehearsing) => transferOwner(args, rehearsing),
    next: (kind, { phases }) => [
      ...changingCommands("owner transfer", args, kind, [args.address]),
      ...phases.flatMap(({ title, owner }) =>
        title === accepting ? changingCommands("owner accept", { app: args.app, cvm: args.cvm }, owner.kind) : [],
      ),
    ],
  }));

function isWithdrawal({ address }: OwnerTransferArguments): boolean {
  return isAddressEqual(parseAddress("The new owner's address", address), zeroAddress);
}

const accepting = "The new owner accepts";

/** The transfer, its acceptance, and a trial: the new owner allows a hash and removes it. */
async function transferOwner(
  args: OwnerTransferArguments & RehearseArguments,
  { io, planning, stage, execute }: Rehearsing,
): Promise<RehearsedWork> {
  const { transfer, accept } = await import("./owner.ts");
  const newOwner = parseAddress("The new owner's address", args.address);
  const file = join(stage.folder, "transfer.json");
  const planned = await orRefusal(() => transfer(inner(args, "owner transfer", file), planning, io));
  if ("refusal" in planned) return refused(planned.refusal);
  const offer = await loadPlan(file);
  const phases = [await execute(offer, { title: "The transfer" })];
  const { appId } = offer;
  const calls = offer.changes.map(({ call }) => call);
  const result = { calls, refusals: [], plan: offer, warnings: warningsIn(planned.done) };
  if (appId === undefined || isWithdrawal(args) || hasFailed(phases)) return { ...result, phases };
  const { pendingOwner } = await readOwnership(stage.client, { appId });
  if (pendingOwner !== undefined) {
    const acceptance = join(stage.folder, "accept.json");
    const app = { app: appId, task: "owner accept", plan: acceptance, accept: undefined };
    const accepted = await orRefusal(() => accept(app, planning, io));
    if ("refusal" in accepted) return { ...result, refusals: [accepted.refusal], phases };
    phases.push(await execute(await loadPlan(acceptance), { title: accepting }));
  }
  for (const [title, build] of trials) {
    if (hasFailed(phases)) break;
    const call = build({ appId, composeHash: trialHash });
    phases.push(await execute(await planFor(stage, { appId, call, owner: newOwner }), { title, isLive: false }));
  }
  return { ...result, phases };
}

/** A hash that no document has. */
const trialHash = parseComposeHash(keccak256(stringToHex("a rehearsal of dstack-toolkit")));
const trials = [
  ["The new owner allows a hash", addComposeHashCall],
  ["The new owner removes it", removeComposeHashCall],
] as const;

function hasFailed(phases: readonly RehearsedPhase[]): boolean {
  return phases.some(({ execution }) => execution.failure !== undefined);
}

async function planFor(
  { client, chain }: OpenStage,
  { appId, call, owner }: { readonly appId: AppId; readonly call: OwnerCall; readonly owner: `0x${string}` },
): Promise<ChangePlan> {
  const { number, hash, timestamp } = await withRpcErrors(client, "reading the latest block", () => getBlock(client));
  const { id: generation } = await readGeneration(client, { address: appId });
  const kind = ownerKindOf((await readOwner(client, { address: owner })).kind) ?? "key";
  return createChangePlan({
    ...{ task: "rehearse owner-transfer", createdBy: `dstack-toolkit ${readPackageVersion()}` },
    ...{ createdAt: new Date().toISOString(), chainId: chain.chainId, appId, kms: undefined },
    ...{ owner: { address: owner, kind }, pinned: { number, hash, timestamp }, accepted: [], price: null },
    contracts: [{ contract: "app", address: appId, generation }],
    changes: [{ call, reason: { rule: "requested" } }],
  });
}

export const rehearseUpdate: Command<UpdateArguments & RehearseArguments> = (args, host) =>
  runRehearsal(args, host, async () => ({
    subject: "update",
    target: args,
    work: (rehearsing) => updateCvms(args, rehearsing),
    next: (kind) => {
      const options = optionsOf(args, [...ofRehearsals, "task", "plan", "prepare", "commit", "wait"]);
      if (kind === "key") return [`update${options} --wait`];
      const file = "update.json";
      return [
        `update${options} --prepare --plan ${file}`,
        ...executing[kind].map((task) => `${task} ${file}`),
        `update --commit --plan ${file} --wait`,
      ];
    },
  }));

/** The cloud keeps the update, the owner allows what it needs, and the cloud gets the commit: all on the mock cloud. */
async function updateCvms(
  args: UpdateArguments & RehearseArguments,
  { io, changing, stage, execute }: Rehearsing,
): Promise<RehearsedWork> {
  const file = join(stage.folder, "plan.json");
  const part = inner(args, "update", file);
  const { prepareForOwners } = await import("./update-prepare.ts");
  const { commitPlanned } = await import("./update-commit.ts");
  const prepared = await orRefusal(() => prepareForOwners(io, { ...part, prepare: true }, changing, file));
  if ("refusal" in prepared) return refused(prepared.refusal);
  if (!isWritten(prepared.done)) return nothing;
  const work = await executeFile(file, { execute });
  if (hasFailed(work.phases)) return work;
  const plan = await loadPlan(file);
  const committed = await orRefusal(() => commitPlanned(io, { ...part, commit: true, wait: true }, changing, file));
  const updates = await Promise.all(
    (plan.update?.cvms ?? []).map(async ({ id, name, composeHash }) => {
      const { composeHash: runs } = await getCvm(stage.cloud, { cvm: id });
      return { id, name, wanted: composeHash, runs };
    }),
  );
  return { ...work, updates, refusals: "refusal" in committed ? [committed.refusal] : [] };
}

export const rehearsePlan: Command<PlanCheckArguments & RehearseArguments> = (args, host) =>
  runRehearsal(args, host, async () => {
    const { connectPlan, readPlan } = await import("./plan.ts");
    const plan = await readPlan(args);
    return {
      subject: `plan ${args.file}`,
      target: plan,
      work: async ({ io, planning, stage, execute }) => {
        const calls = plan.changes.map(({ call }) => call);
        const { source } = await connectPlan(io, args, planning);
        const checked = await orRefusal(() => checkPlan(stage.client, { plan, ...source }));
        if ("refusal" in checked) return { ...refused(checked.refusal), plan };
        const { objections, appliedBy } = checked.done;
        const problems = appliedBy === undefined ? objections.map(({ problem }) => problem) : [applied(appliedBy)];
        if (problems.length > 0) {
          return { plan, calls, refusals: problems.map((message) => ({ message })), phases: [] };
        }
        const limits = plan.update === undefined ? [] : [withoutCommit];
        return { plan, calls, refusals: [], phases: [await execute(plan)], limits };
      },
      next: (kind) => [
        ...executing[kind].map((task) => `${task} ${shellWord(args.file)}`),
        ...(plan.update === undefined ? [] : [`update --commit --plan ${shellWord(args.file)} --wait`]),
      ],
    };
  });

const withoutCommit =
  "The update of the plan was not committed, because the mock cloud has no prepared update of it. dstack rehearse update rehearses the whole.";

function applied(transactions: readonly string[]): string {
  return `The plan was executed already, by ${transactions.join(", ")}.`;
}

/** A command writes no plan if there is nothing to change. */
function isWritten({ result }: TaskOutcome): boolean {
  return typeof Reflect.get(result, "planFile") === "string";
}

const finding = z.object({ severity: z.enum(["error", "warning", "note"]), message: z.string() });
const withFindings = z.object({ findings: z.array(finding) });

/** What the linter says of the change, without notes. An error is one that the user accepted by its name. */
function warningsIn({ result }: TaskOutcome): readonly string[] {
  const { findings = [] } = withFindings.safeParse(result).data ?? {};
  return findings.flatMap(({ severity, message }) => (severity === "note" ? [] : message));
}

/** The arguments of the task itself, which writes a plan and sends nothing. */
function inner<Arguments extends object>(args: Arguments, task: string, plan: string) {
  return { ...args, task, plan, batch: undefined, dryRun: undefined, ledger: undefined };
}

const nothing: RehearsedWork = { plan: undefined, calls: [], refusals: [], phases: [] };

function refused(refusal: RehearsedWork["refusals"][number]): RehearsedWork {
  return { ...nothing, refusals: [refusal] };
}

/** Executes the plan that a command has written. */
async function executeFile(file: string, { execute }: Pick<Rehearsing, "execute">): Promise<RehearsedWork> {
  const plan = await loadPlan(file);
  return { plan, calls: plan.changes.map(({ call }) => call), refusals: [], phases: [await execute(plan)] };
}

/** How each kind of owner executes a plan. */
const executing: Readonly<Record<OwnerKind, readonly string[]>> = {
  key: ["plan apply"],
  // Each owner signs, until there are as many signatures as the threshold says.
  safe: ["safe propose", "safe sign", "safe execute"],
  timelock: ["timelock run"],
  contract: ["plan apply"],
};

const ofRehearsals = ["rpc", "at", "cvms", "record", "offline", "markdown", "json", "proposer"] as const;

/** The live task of a key, or its plan and how other owners execute it. */
function changingCommands(
  task: string,
  args: object,
  kind: OwnerKind,
  positional: readonly string[] = [],
): readonly string[] {
  const notTaken = [...(kind === "key" ? [] : ["batch"]), ...(task === "app upgrade" ? [] : ["kms"])];
  const omitted = [...ofRehearsals, "task", "plan", "address", ...notTaken];
  const command = [task, ...positional.map(shellWord)].join(" ") + optionsOf(args, omitted);
  if (kind === "key") return [command];
  const file = `${task.replace(" ", "-")}.json`;
  return [`${command} --plan ${file}`, ...executing[kind].map((execute) => `${execute} ${file}`)];
}

/** Options as a command line. Values of variables are left out: their names take them from the environment. */
function optionsOf(args: object, omitted: readonly string[] = []): string {
  return Object.entries(args)
    .flatMap(([name, value]) => {
      if (omitted.includes(name) || value === undefined || value === false) return [];
      const option = ` --${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      if (value === true) return [option];
      const text = name === "env" ? `${value}`.replace(/=[^,]*/g, "") : `${value}`;
      return [`${option} ${shellWord(text)}`];
    })
    .join("");
}
