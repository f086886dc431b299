import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { Hex, TransactionHash } from "../core/ids.ts";
import { isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import { operationOf } from "../core/timelock.ts";
import { hashOperationBatch, noPredecessor, type TimelockOperation } from "../core/timelock-calls.ts";
import { InvalidArgumentError, isDstackError, OperationsAlikeError } from "../errors/index.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { type LoggedOperation, readTimelockHistory } from "./timelock-history.ts";
import { type OperationState, readTimelock, type TimelockStatus } from "./timelock-operation.ts";

/** A plan's changes as one operation of the timelock that owns the contracts. */
export interface PlannedOperation {
  readonly timelock: Address;
  readonly id: Hex;
  readonly operation: TimelockOperation;
  /** False for one that another program scheduled as a single call. */
  readonly isBatch: boolean;
  readonly calls: readonly OwnerCall[];
}

export interface OperationChoices {
  /** @default the plan's digest: the same plan has the same id, and a new plan of the same calls has another one */
  readonly salt?: Hex | undefined;
  /** Id of the operation that must be executed before. @default none */
  readonly predecessor?: Hex | undefined;
}

type PlanOfTimelock = Pick<ChangePlan, "owner" | "changes" | "digest" | "pinned">;

/**
 * The operation that carries a plan.
 *
 * @throws InvalidArgumentError if no timelock owns the plan's contracts, or the plan changes nothing
 */
export function plannedOperation(
  { owner, changes, digest }: PlanOfTimelock,
  { salt = digest, predecessor = noPredecessor }: OperationChoices = {},
): PlannedOperation {
  if (owner.kind !== "timelock")
    throw new InvalidArgumentError(`The owner ${owner.address} is not a timelock, so it has no operations.`, {
      nextStep: "Nothing was sent. Let the owner make the calls of the plan itself.",
      context: { owner: owner.address, kind: owner.kind },
    });
  if (changes.length === 0)
    throw new InvalidArgumentError("The plan changes nothing, so there is no operation.", {
      nextStep: "No owner has to sign. If it is the plan of an update, commit the update: `commitUpdates`.",
    });
  const calls = changes.map(({ call }) => call);
  const operation = operationOf({ calls, predecessor, salt });
  return { timelock: owner.address, id: hashOperationBatch(operation), operation, isBatch: true, calls };
}

/**
 * The operation that must be executed before. `unknown`: the timelock's logs do not show that it was ever scheduled, or
 * the endpoint does not serve them.
 */
export interface Predecessor {
  readonly state: "none" | "done" | "waiting" | "ready" | "cancelled" | "unknown";
  /** Seconds since the epoch; undefined unless it is waiting or ready. */
  readonly readyAt: bigint | undefined;
  readonly cancelledBy: TransactionHash | undefined;
}

export interface FoundOperation extends PlannedOperation {
  readonly status: TimelockStatus;
  readonly state: OperationState;
  /** Seconds since the epoch; undefined unless it is waiting or ready. */
  readonly readyAt: bigint | undefined;
  readonly predecessor: Predecessor;
  /** What the timelock logged about it since the plan was made. Undefined if that is nothing, or cannot be read. */
  readonly logged: LoggedOperation | undefined;
  /** The other pending operations with the same calls. */
  readonly alike: readonly LoggedOperation[];
  /** Pending operations that name it as predecessor. Undefined if the endpoint does not serve the timelock's logs. */
  readonly dependents: readonly LoggedOperation[] | undefined;
}

export interface FindOperationParameters extends OperationChoices {
  readonly plan: PlanOfTimelock;
  /** Id of the operation, which must make the plan's calls. */
  readonly id?: Hex | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the operation of a plan in its timelock, among all that make the plan's calls. `id`, `salt` and `predecessor`
 * narrow the choice. A pending operation comes before one that was executed.
 *
 * @throws OperationsAlikeError if several pending operations are left
 * @throws InvalidArgumentError if `id` is of no operation with these calls
 * @throws NoContractError, RpcUnavailableError
 */
export async function findOperation(
  client: ChainClient,
  { plan, signal, id: wanted, ...choices }: FindOperationParameters,
): Promise<FoundOperation> {
  const planned = plannedOperation(plan, choices);
  const { timelock } = planned;
  const operations = await readSince(client, { timelock, fromBlock: plan.pinned.number, signal });
  const alike = (operations ?? []).filter((one) => hasCalls(one, planned.calls));
  const logged = await choose(client, alike.filter(isChosen({ id: wanted, ...choices })), planned);
  const found = logged?.proven === undefined ? planned : { ...planned, id: logged.id, ...logged.proven };
  const { id, operation } = found;
  if (wanted !== undefined && id !== wanted)
    throw new InvalidArgumentError(`The timelock ${timelock} has no operation ${wanted} that makes the plan's calls.`, {
      nextStep: "Nothing was sent. Omit `id` to find the operation by its calls.",
      context: { timelock, operationId: wanted },
    });
  const status = await readTimelock(client, { timelock, ids: [id, operation.predecessor] });
  const [own, before] = status.operations;
  if (own === undefined || before === undefined) throw new TypeError("The states of the operations were read.");
  return {
    ...{ ...found, status, logged, state: own.state, readyAt: own.readyAt },
    predecessor: await readPredecessor(client, { timelock, before, operations, signal }),
    alike: alike.filter((one) => one.id !== id && one.ended === undefined),
    dependents: operations?.filter((one) => one.predecessor === id && one.ended === undefined),
  };
}

/** The logs only tell more about an operation, whose state the contract tells. So an endpoint may lack them. */
async function readSince(
  client: ChainClient,
  parameters: Parameters<typeof readTimelockHistory>[1],
): Promise<readonly LoggedOperation[] | undefined> {
  try {
    return (await readTimelockHistory(client, parameters)).operations;
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return undefined;
  }
}

function hasCalls({ proven }: LoggedOperation, calls: readonly OwnerCall[]): boolean {
  const found = proven?.operation.calls ?? [];
  return (
    found.length === calls.length &&
    calls.every((call, index) => {
      const one = found[index];
      return one !== undefined && one.value === 0n && isSameCall(one, call);
    })
  );
}

function isChosen({ id, salt, predecessor }: OperationChoices & { readonly id: Hex | undefined }) {
  return ({ proven, ...one }: LoggedOperation): boolean =>
    (id === undefined || id === one.id) &&
    (salt === undefined || salt === proven?.operation.salt) &&
    (predecessor === undefined || predecessor === one.predecessor);
}

/** @throws OperationsAlikeError, RpcUnavailableError */
async function choose(
  client: ChainClient,
  alike: readonly LoggedOperation[],
  { timelock, id: plannedId }: PlannedOperation,
): Promise<LoggedOperation | undefined> {
  const [pending, ...more] = alike.filter(({ ended }) => ended === undefined);
  if (pending !== undefined && more.length > 0) {
    const several = [pending, ...more];
    const { operations } = await readTimelock(client, { timelock, ids: several.map(({ id }) => id) });
    throw new OperationsAlikeError({
      timelock,
      operations: several.map(({ id, predecessor, proven }, index) => {
        const { state = "unset", readyAt } = operations[index] ?? {};
        const salt = proven?.operation.salt ?? noPredecessor;
        const time = readyAt === undefined ? null : toIso(readyAt);
        const before = predecessor === noPredecessor ? null : predecessor;
        return { operationId: id, salt, state, readyAt: time, predecessor: before };
      }),
    });
  }
  const own = alike.find(({ id }) => id === plannedId);
  if (pending !== undefined || own?.ended?.kind === "executed") return pending ?? own;
  return alike.findLast(({ ended }) => ended?.kind === "executed") ?? own;
}

async function readPredecessor(
  client: ChainClient,
  {
    timelock,
    before: { id, state, readyAt },
    operations,
    signal,
  }: {
    readonly timelock: Address;
    readonly before: TimelockStatus["operations"][number];
    readonly operations: readonly LoggedOperation[] | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Predecessor> {
  if (id === noPredecessor) return { state: "none", readyAt, cancelledBy: undefined };
  if (state !== "unset") return { state, readyAt, cancelledBy: undefined };
  const isIt = (one: LoggedOperation) => one.id === id;
  // It may have been cancelled before the plan was made.
  const logged = operations?.find(isIt) ?? (await readSince(client, { timelock, signal }))?.find(isIt);
  const isCancelled = logged?.ended?.kind === "cancelled";
  return { state: isCancelled ? "cancelled" : "unknown", readyAt, cancelledBy: logged?.ended?.transactionHash };
}

/** Whether the predecessor, if there is one, was executed. */
export function isPredecessorDone({ predecessor: { state } }: Pick<FoundOperation, "predecessor">): boolean {
  return state === "none" || state === "done";
}

export function toIso(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}
