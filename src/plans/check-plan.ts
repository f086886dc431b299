import { type Address, isAddressEqual } from "viem";
import { getBlockNumber } from "viem/actions";
import { readEffects } from "../batch/require-effect.ts";
import { simulateCalls } from "../batch/simulate-calls.ts";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { readGeneration } from "../chain/generation.ts";
import { readOwnership } from "../chain/read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { parseAppId, type TransactionHash } from "../core/ids.ts";
import { isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import { isDstackError } from "../errors/index.ts";
import { isBlockOfChain } from "../prune/read-allowlist-use.ts";
import { type ChangePlan, ownerKindOf } from "./change-plan.ts";
import { checkUpdate, describeMissing, type MissingPermission, type UpdateCheck } from "./check-update.ts";
import { describeContradiction, findExecution } from "./find-execution.ts";
import { type ReasonSource, reasonRules } from "./reason-rules.ts";

export interface CheckPlanParameters extends ReasonSource {
  readonly plan: ChangePlan;
  /** Calls that the ledger of this project holds for the plan. They are completed first, so they are not judged. */
  readonly recorded?: readonly OwnerCall[] | undefined;
}

export interface PlanCheck {
  /** The transactions after whose events nothing is left to do; undefined if the plan was not executed. */
  readonly appliedBy: readonly TransactionHash[] | undefined;
  /** The account whose call it must be, as the chain describes it now. Undefined on another chain. */
  readonly owner: ReadOwnerReturnType | undefined;
  /**
   * Why the plan must not be executed. If it was executed: why its update must not be committed. Empty if nothing stands
   * against that.
   */
  readonly objections: readonly PlanObjection[];
  /** What the plan's update needs and the app does not allow. The plan's own calls will not allow it. Also objections. */
  readonly missing: readonly MissingPermission[];
  /** Sentences: what was changed back after the plan was executed. Empty if it was not executed. */
  readonly undone: readonly string[];
}

export interface PlanObjection {
  /** What is no longer as the plan says. `effect`: a call would change nothing. */
  readonly kind: "chain" | "owner" | "generation" | "effect" | "revert" | "reason";
  /** One sentence. */
  readonly problem: string;
  /** The call that it is about, if it is about one. */
  readonly call?: OwnerCall | undefined;
}

/**
 * Compares a plan with the chain and the cloud: the chain, the owner and its kind, the generations, the effect of each
 * call, the reason for each, and everything that its update needs. Also finds out whether the plan was executed already.
 * Sends nothing.
 *
 * @throws HistoryContradictedError if the chain does not have the events by which a prune ordered its hashes
 * @throws RpcUnavailableError, LogsUnavailableError, NoContractError, CloudError
 *
 * @example
 * import { checkPlan } from "dstack-toolkit/plans";
 * import { changePlan, client, cloud } from "./app.js";
 * const { objections, appliedBy } = await checkPlan(client, { plan: changePlan, cloud });
 * if (appliedBy === undefined) for (const { problem } of objections) console.error(problem);
 */
export async function checkPlan(
  client: ChainClient,
  { plan, recorded = [], ...source }: CheckPlanParameters,
): Promise<PlanCheck> {
  const otherChain = await findOtherChain(client, plan);
  if (otherChain !== undefined) {
    const objections = [{ kind: "chain", problem: otherChain } as const];
    return { appliedBy: undefined, owner: undefined, objections, missing: [], undone: [] };
  }
  const { transactionHashes, contradictions } = await findExecution(client, { plan, signal: source.signal });
  const owner = await readOwner(client, { address: plan.owner.address });
  const { cloud } = source;
  if (transactionHashes !== undefined) {
    const update = await checkUpdate(client, { plan, cloud, isExecuted: true });
    return {
      ...{ appliedBy: transactionHashes, owner, missing: update.missing, objections: objectionsOf(update) },
      undone: contradictions.map(describeContradiction),
    };
  }
  const changes = plan.changes.filter(({ call }) => !recorded.some((one) => isSameCall(one, call)));
  const calls = changes.map(({ call }) => call);
  const ofChain = [
    ...(await checkOwner(client, plan, owner)),
    ...(await checkGenerations(client, plan)),
    ...contradictions
      .filter(({ call }) => calls.includes(call))
      .map((contradiction) => ({
        ...({ kind: "reason", call: contradiction.call } as const),
        problem: describeContradiction(contradiction),
      })),
    ...(await checkEffects(client, plan, calls)),
  ];
  const reverted = ofChain.length === 0 ? await checkSimulation(client, plan.owner.address, calls) : [];
  // What a contract of another generation allows may not be in the lists that the reasons are about.
  const isReadable = !ofChain.some(({ kind }) => kind === "generation");
  const ofReasons = isReadable ? await checkReasons(client, { ...plan, changes }, source) : [];
  const update = isReadable ? await checkUpdate(client, { plan, cloud, isExecuted: false }) : undefined;
  return {
    appliedBy: undefined,
    owner,
    objections: [...ofChain, ...reverted, ...ofReasons, ...(update === undefined ? [] : objectionsOf(update))],
    missing: update?.missing ?? [],
    undone: [],
  };
}

function objectionsOf({ missing, moved, unread, changed }: UpdateCheck): readonly PlanObjection[] {
  return [
    ...missing.map((one) => ({ kind: "reason", call: one.call, problem: describeMissing(one) }) as const),
    ...[...moved, ...unread, ...changed].map((problem) => ({ kind: "reason", problem }) as const),
  ];
}

/** A sentence if the endpoint serves another chain, or a chain without the plan's block. */
async function findOtherChain(client: ChainClient, { chainId, pinned }: ChangePlan): Promise<string | undefined> {
  const actual = await requireChain(client);
  if (actual !== chainId) return `The plan is for chain ${chainId}, but the endpoint serves chain ${actual}.`;
  if (await isBlockOfChain(client, pinned)) return undefined;
  const head = await withRpcErrors(client, "reading the latest block number", () => getBlockNumber(client));
  return head < pinned.number
    ? `The plan was made at block ${pinned.number}, and the endpoint's newest block is ${head}.`
    : `Block ${pinned.number} of chain ${chainId} is no longer the one the plan was made at.`;
}

async function checkOwner(
  client: ChainClient,
  { changes, owner: planned }: ChangePlan,
  { kind, address }: ReadOwnerReturnType,
): Promise<readonly PlanObjection[]> {
  const targets = new Map(changes.map(({ call }) => [`${call.to} ${call.functionName === "acceptOwnership"}`, call]));
  const objections = await Promise.all(
    [...targets.values()].map(async ({ contract, to, functionName }): Promise<readonly PlanObjection[]> => {
      if (contract !== "app" && contract !== "kms") return []; // such a contract has roles; the simulation asks it
      const { owner, pendingOwner } = await readOwnership(client, { appId: parseAppId(to) });
      const [role, caller] = functionName === "acceptOwnership" ? ["pending owner", pendingOwner] : ["owner", owner];
      if (caller !== undefined && isAddressEqual(caller, planned.address)) return [];
      const problem = `The ${role} of ${to} is ${caller ?? "no account"}, and not ${planned.address}.`;
      return [{ kind: "owner", problem }];
    }),
  );
  const now = ownerKindOf(kind);
  const changed = `The plan says that ${address} is a ${planned.kind}, but on this chain it is ${now === undefined ? "the zero address" : `a ${now}`}.`;
  return [...objections.flat(), ...(now === planned.kind ? [] : [{ kind: "owner", problem: changed } as const])];
}

async function checkGenerations(
  client: ChainClient,
  { contracts, accepted }: ChangePlan,
): Promise<readonly PlanObjection[]> {
  const objections = await Promise.all(
    contracts.map(async ({ contract, address, generation }): Promise<readonly PlanObjection[]> => {
      const { id, hasKeyEpochs } = await readGeneration(client, { address });
      if (id !== generation)
        return [{ kind: "generation", problem: `${address} is of generation ${id}, and not ${generation}.` }];
      const isDoubtful = (contract === "app" || contract === "kms") && hasKeyEpochs !== false;
      if (!isDoubtful || accepted.includes("key-epochs")) return [];
      return [{ kind: "generation", problem: `${address} approves per key epoch, or may (key-epochs).` }];
    }),
  );
  return objections.flat();
}

async function checkEffects(
  client: ChainClient,
  { accepted }: ChangePlan,
  calls: readonly OwnerCall[],
): Promise<readonly PlanObjection[]> {
  if (accepted.includes("no-effect")) return [];
  const effects = await readEffects(client, calls);
  return effects
    .filter(({ isDone }) => isDone === true)
    .map(({ call }) => ({ kind: "effect", call, problem: `${call.to} is already so: ${call.description}.` }));
}

/** @throws RpcUnavailableError */
async function checkSimulation(
  client: ChainClient,
  from: Address,
  calls: readonly OwnerCall[],
): Promise<readonly PlanObjection[]> {
  try {
    await simulateCalls(client, { from, calls });
    return [];
  } catch (error) {
    if (!isDstackError(error) || error.retryable) throw error;
    return [{ kind: "revert", problem: error.message }];
  }
}

async function checkReasons(
  client: ChainClient,
  plan: ChangePlan,
  source: ReasonSource,
): Promise<readonly PlanObjection[]> {
  const objections: PlanObjection[] = [];
  for (const [rule, check] of Object.entries(reasonRules)) {
    const calls = plan.changes.filter(({ reason }) => reason.rule === rule).map(({ call }) => call);
    if (calls.length === 0) continue;
    const problems = await check({ ...source, client, plan, calls });
    objections.push(...problems.map((problem) => ({ kind: "reason", problem }) as const));
  }
  return objections;
}
