import { basename, dirname, join } from "node:path";
import { getAddress } from "viem";
import { readEffects } from "../batch/require-effect.ts";
import type { ChainClient } from "../chain/client.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import {
  InvalidArgumentError,
  InvalidPlanFileError,
  InvalidProposalFileError,
  isDstackError,
  OperationsAlikeError,
} from "../errors/index.ts";
import { readSafe } from "../governance/safe-account.ts";
import { loadProposal, proposalExists } from "../governance/safe-proposal.ts";
import { findOperation } from "../governance/timelock-find.ts";
import { shellWord } from "../output/format.ts";
import { nextCommand, nextCommands, toNextStep } from "../output/plan.ts";
import type { ChangePlan, OwnerKind } from "../plans/change-plan.ts";
import { checkPlan, type PlanCheck } from "../plans/check-plan.ts";
import { checkUpdate } from "../plans/check-update.ts";
import { describeContradiction, findExecution } from "../plans/find-execution.ts";
import { loadPlan } from "../plans/plan-file.ts";
import { loadPreparedUpdates } from "../update/prepared-file.ts";
import type { ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";
import type { Signing } from "./signing.ts";

/** What was begun with a plan and is not finished. */
export interface PlanProgress {
  readonly stage: "scheduled" | "proposed" | "executed" | "prepared" | "elsewhere";
  /** A sentence without its full stop. */
  readonly what: string;
  /** The commands that finish it, as lines. */
  readonly next: readonly string[];
}

export interface ReplacePlanParameters {
  /** The value of `--plan`. */
  readonly file: string;
  /** Whether the new plan prepares an update, which supersedes an earlier preparation that no owner has executed. */
  readonly isPreparing: boolean;
}

type PlanChain = ConnectedChain & Pick<Signing, "root"> & { readonly cloud?: CloudClient | undefined };

/**
 * Refuses to overwrite a plan that is under way: scheduled, proposed, or with a prepared update that can be committed.
 *
 * @throws InvalidArgumentError, and what the reads of chain and cloud throw
 */
export async function requireReplaceable(
  chain: PlanChain,
  { file, isPreparing }: ReplacePlanParameters,
): Promise<void> {
  const older = await findPlan(file);
  if (older === undefined) return;
  const progress = await findUnfinished(chain, older, { file, isPreparing });
  if (progress === undefined) return;
  const { what, next, stage } = progress;
  const other = join(dirname(file), basename(file).replace(/(?:\.json)?$/, "-2.json"));
  const finish = toNextStep(next);
  throw new InvalidArgumentError(`${file} holds a plan of dstack ${older.task} that is under way: ${what}.`, {
    nextStep: `The file was not overwritten. ${finish === null ? "" : `Finish that plan: ${finish}. `}Or give the new plan another name: --plan ${shellWord(other)}.`,
    context: { planFile: file, digest: older.digest, stage },
  });
}

/** The plan in a file. Undefined if there is none: saving refuses a file that holds something else. */
export async function findPlan(file: string): Promise<ChangePlan | undefined> {
  try {
    return await loadPlan(file);
  } catch (error) {
    if (error instanceof InvalidPlanFileError) return undefined;
    throw error;
  }
}

async function findUnfinished(
  chain: PlanChain,
  plan: ChangePlan,
  { file, isPreparing }: ReplacePlanParameters,
): Promise<PlanProgress | undefined> {
  const { client, chainId, network, root, cloud } = chain;
  if (plan.chainId !== chainId)
    return { stage: "elsewhere", what: `it is for chain ${plan.chainId}, which was not read`, next: [] };
  const begun = await readProgress(client, { plan, file, network });
  if (begun !== undefined) return begun;
  const prepared = await loadPreparedUpdates(preparedFileOf(root, plan.digest), plan.digest);
  if (prepared === undefined || prepared.updates.every(({ isDone }) => isDone)) return undefined;
  const effects = await readEffects(
    client,
    plan.changes.map(({ call }) => call),
  );
  const isExecuted = effects.every(({ isDone }) => isDone !== false);
  if (isExecuted && (plan.changes.length > 0 || !isPreparing)) {
    const { isDone, moved, changed } = await checkUpdate(client, { plan, cloud, isExecuted });
    if (isDone || moved.length + changed.length > 0) return undefined;
    const what = "its calls are made, and its update is not committed";
    return { stage: "executed", what, next: commandsAfter(plan, file, network).slice(1) };
  }
  if (isPreparing) return undefined;
  const { objections } = await checkPlan(client, { plan, cloud });
  if (cloud !== undefined && objections.length > 0) return undefined;
  const what = "its update is prepared, and waits for the owner";
  return { stage: "prepared", what, next: nextCommands(plan.owner.kind, file, network, 2) };
}

export interface ReadProgressParameters {
  readonly plan: ChangePlan;
  readonly file: string;
  readonly network: string;
}

/**
 * What the owner of a plan has begun: an operation that waits in the timelock, or a proposal to the Safe, by the file
 * beside the plan. Undefined if nothing is known to be begun.
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function readProgress(
  client: ChainClient,
  { plan, file, network }: ReadProgressParameters,
): Promise<PlanProgress | undefined> {
  if (plan.changes.length === 0) return undefined;
  if (plan.owner.kind === "timelock") {
    const what = await findScheduled(client, plan);
    return what === undefined
      ? undefined
      : { stage: "scheduled", what, next: [nextCommand("timelock execute", file, network)] };
  }
  if (plan.owner.kind !== "safe") return undefined;
  const proposal = await findProposal(proposalFileOf(file));
  if (proposal?.plan !== plan.digest) return undefined;
  const { nonce, threshold } = await readSafe(client, { safe: plan.owner.address, chainId: plan.chainId });
  if (proposal.safeTx.nonce < nonce) return undefined;
  const isSigned = BigInt(proposal.confirmations.length) >= BigInt(threshold);
  const what = `Safe transaction ${proposal.safeTxHash} is proposed with nonce ${proposal.safeTx.nonce}`;
  const tasks = isSigned ? ["safe execute"] : ["safe sign", "safe execute"];
  return {
    stage: "proposed",
    what,
    next: tasks.map((task, index) => nextCommand(task, file, network).replace("next", index === 0 ? "next" : "then")),
  };
}

/** As a sentence without its full stop. Undefined if no operation with the plan's calls is pending. */
async function findScheduled(client: ChainClient, plan: ChangePlan): Promise<string | undefined> {
  try {
    const { id, readyAt } = await findOperation(client, { plan });
    return readyAt === undefined ? undefined : `operation ${id} is pending in the timelock`;
  } catch (error) {
    if (error instanceof OperationsAlikeError) return "several operations with its calls are pending in the timelock";
    throw error;
  }
}

/** The file of a plan's proposal, if the user names no other. */
export function proposalFileOf(planFile: string): string {
  return `${planFile.replace(/\.json$/, "")}.safe.json`;
}

async function findProposal(path: string) {
  try {
    return (await proposalExists(path)) ? await loadProposal(path) : undefined;
  } catch (error) {
    if (error instanceof InvalidProposalFileError) return undefined;
    throw error;
  }
}

/** Where the prepared updates of a plan are kept, also if the folder does not exist. */
export function preparedFileOf(root: string, digest: string): string {
  return join(root, ".dstack", "prepared", `${digest.replace(/^0x/, "").slice(0, 16)}.json`);
}

/** What became of a plan after its execution. */
export interface Applied {
  /** Null if it was not executed, or if that is not known. */
  readonly appliedBy: PlanCheck["appliedBy"] | null;
  /** Null if that is not known, because the endpoint does not serve the logs. */
  readonly undone: PlanCheck["undone"] | null;
}

/** Reads by what a plan was executed, and what was undone since, as `plan check` tells it. For `--json` too. */
export async function readApplied(
  client: ChainClient,
  { plan, signal }: { readonly plan: ChangePlan } & Pick<TaskIo, "signal">,
): Promise<Applied> {
  try {
    const { transactionHashes: appliedBy, contradictions } = await findExecution(client, { plan, signal });
    if (appliedBy === undefined) return { appliedBy: null, undone: [] };
    return { appliedBy, undone: contradictions.map(describeContradiction) };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { appliedBy: null, undone: null };
  }
}

/** What is left to do when the plan of an update was executed, as lines. */
export function commandsAfter(
  { update }: Pick<ChangePlan, "update">,
  file: string,
  network: string,
): readonly string[] {
  if (update === undefined) return [];
  return [
    "\nThe CVMs change with the commit, which runs where the update was prepared:",
    `  next    ${commitCommand(file, network)}`,
  ];
}

/** The command that finishes a prepared update. */
export function commitCommand(file: string, network: string): string {
  return `npx hardhat dstack update --commit --plan ${shellWord(file)} --network ${network} --wait`;
}

const ownerKinds: Readonly<Record<OwnerKind, string>> = {
  key: "one key",
  safe: "a Safe",
  timelock: "a timelock",
  contract: "a contract that is neither a Safe nor a timelock",
};

/** @throws InvalidArgumentError if another kind of owner executes the plan. It names the command for that kind. */
export function requireOwnerKind(
  { owner: { address, kind } }: Pick<ChangePlan, "owner">,
  wanted: "safe" | "timelock",
  { file, network }: Pick<ReadProgressParameters, "file" | "network">,
): void {
  if (kind === wanted) return;
  throw new InvalidArgumentError(
    `The plan's owner, ${getAddress(address)}, is ${ownerKinds[kind]}, and not ${ownerKinds[wanted]}.`,
    {
      nextStep: `Nothing was signed or sent. Execute the plan: ${toNextStep(nextCommands(kind, file, network, 2))}`,
      context: { owner: address, kind },
    },
  );
}
