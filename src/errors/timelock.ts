import { DstackError } from "./base.ts";

abstract class TimelockError extends DstackError {
  readonly family = "chain";
}

export interface TimelockOperationDetails {
  readonly timelock: string;
  readonly operationId: string;
}

/** Why an operation of a timelock is not in the state that a call needs. */
export type OperationProblem =
  | "notScheduled"
  | "cancelled"
  | "alreadyExecuted"
  /** Another delay, predecessor or salt than the timelock was asked for. */
  | "notRecognised";

const operationProblems: Readonly<Record<OperationProblem, readonly [message: string, nextStep: string]>> = {
  notScheduled: ["is not scheduled", "Schedule it first: `prepareSchedule`."],
  cancelled: [
    "was cancelled",
    "Ask the canceller why. If the changes are still wanted, make a new plan, which has another id.",
  ],
  alreadyExecuted: ["was executed already", "Nothing is left to do for this plan."],
  notRecognised: ["is not the operation that its events describe", "Read the timelock through another RPC endpoint."],
};

export class TimelockOperationError extends TimelockError {
  override readonly name = "TimelockOperationError";
  readonly problem: OperationProblem;
  /** @param details.transactionHash the transaction that brought the operation into this state, if known */
  constructor(
    problem: OperationProblem,
    details: TimelockOperationDetails & { readonly transactionHash?: string | undefined },
  ) {
    const [message, nextStep] = operationProblems[problem];
    const { timelock, operationId, transactionHash } = details;
    const by = transactionHash === undefined ? "" : `, by transaction ${transactionHash}`;
    super(`Operation ${operationId} of the timelock ${timelock} ${message}${by}.`, {
      nextStep: `Nothing was sent. ${nextStep}`,
      context: { problem, timelock, operationId, ...(transactionHash !== undefined && { transactionHash }) },
    });
    this.problem = problem;
  }
}

/** What is known of an operation that must be executed first, if it is not. */
export type PredecessorState = "waiting" | "ready" | "cancelled" | "unknown";

export interface TimelockNotReadyDetails extends TimelockOperationDetails {
  /** ISO 8601. Undefined if only the predecessor is missing. */
  readonly readyAt?: string | undefined;
  /** Time that is left, in words. */
  readonly left?: string | undefined;
  /** The operation that must be executed first. */
  readonly predecessor?: string | undefined;
  readonly predecessorState?: PredecessorState | undefined;
  /** ISO 8601. Undefined unless the predecessor is pending. */
  readonly predecessorReadyAt?: string | undefined;
  /** The transaction that cancelled the predecessor. */
  readonly cancelledBy?: string | undefined;
}

/** Why an operation waits for its predecessor, and what to do, as two sentences. */
function describePredecessor({
  predecessor,
  predecessorState = "unknown",
  predecessorReadyAt,
  cancelledBy,
}: Omit<TimelockNotReadyDetails, keyof TimelockOperationDetails>): readonly [why: string, nextStep: string] {
  switch (predecessorState) {
    case "waiting":
      return [
        `It waits for its predecessor ${predecessor}, which can be executed from ${predecessorReadyAt} on.`,
        `Execute the predecessor after ${predecessorReadyAt}, then this operation.`,
      ];
    case "ready":
      return [
        `It waits for its predecessor ${predecessor}, which can be executed now.`,
        "Execute the predecessor first.",
      ];
    case "cancelled":
      return [
        `It can never be executed: its predecessor ${predecessor} was cancelled${cancelledBy === undefined ? "" : `, by transaction ${cancelledBy}`}.`,
        "Cancel this operation, and schedule its changes anew, without this predecessor.",
      ];
    case "unknown":
      return [
        `It cannot be executed: the timelock does not know its predecessor ${predecessor} as scheduled or executed.`,
        "Find out which operation that is. If it will not be executed, cancel this one, and schedule its changes anew without it.",
      ];
  }
}

export class TimelockNotReadyError extends TimelockError {
  override readonly name = "TimelockNotReadyError";
  readonly readyAt: string | undefined;
  readonly predecessorState: PredecessorState | undefined;
  /** Why it waits, and what to do then: a sentence each. */
  readonly why: string;
  readonly remedy: string;
  constructor(details: TimelockNotReadyDetails) {
    const { operationId, timelock, readyAt, left } = details;
    const [why, remedy] =
      readyAt === undefined
        ? describePredecessor(details)
        : [`It can be executed from ${readyAt} on, in ${left}.`, `Run the same command again after ${readyAt}.`];
    super(`Operation ${operationId} of the timelock ${timelock} is not ready. ${why}`, {
      nextStep: `Nothing was sent. ${remedy}`,
      context: { ...details },
      // A cancelled predecessor is never executed, whatever time passes.
      ...(details.predecessorState === "cancelled" && { retryable: false }),
    });
    this.why = why;
    this.remedy = remedy;
    this.readyAt = readyAt;
    this.predecessorState = details.predecessorState;
  }
}

/** An operation among several with the same calls. */
export interface AlikeOperation {
  readonly operationId: string;
  readonly salt: string;
  /** Null for none. */
  readonly predecessor: string | null;
  readonly state: string;
  /** ISO 8601. Null if it is no longer pending. */
  readonly readyAt: string | null;
}

export class OperationsAlikeError extends TimelockError {
  override readonly name = "OperationsAlikeError";
  readonly operations: readonly AlikeOperation[];
  constructor({ timelock, operations }: { readonly timelock: string; readonly operations: readonly AlikeOperation[] }) {
    super(`${operations.length} pending operations of the timelock ${timelock} make the plan's calls.`, {
      nextStep: "Nothing was sent. Say which one: give its `id`, or its `salt` and `predecessor`.",
      context: { timelock, operations },
    });
    this.operations = operations;
  }
}

export interface TimelockDependentsDetails extends TimelockOperationDetails {
  /** Ids of the pending operations that name the operation as predecessor. Undefined if they are not known. */
  readonly dependents: readonly string[] | undefined;
}

export class TimelockDependentsError extends TimelockError {
  override readonly name = "TimelockDependentsError";
  constructor(details: TimelockDependentsDetails) {
    const { timelock, operationId, dependents } = details;
    const why =
      dependents === undefined
        ? "may be the predecessor of another one: the endpoint does not serve the timelock's logs"
        : `is the predecessor of ${dependents.join(", ")}. Without it, ${dependents.length === 1 ? "that operation" : "those operations"} can never be executed`;
    super(`Operation ${operationId} of the timelock ${timelock} ${why}.`, {
      nextStep: "Nothing was sent. To cancel it anyway, give `acceptDependents`.",
      context: { ...details },
    });
  }
}

export interface TimelockRoleDetails {
  readonly timelock: string;
  readonly account: string;
  readonly role: "proposer" | "executor" | "canceller";
  /** Accounts with the role, as far as known. */
  readonly holders: readonly string[];
}

const verbs = { proposer: "schedule", executor: "execute", canceller: "cancel" } as const;

export class TimelockRoleError extends TimelockError {
  override readonly name = "TimelockRoleError";
  constructor(details: TimelockRoleDetails) {
    const { timelock, account, role, holders } = details;
    const known =
      holders.length === 0 ? "No account is known to have it." : `The role belongs to ${holders.join(", ")}.`;
    super(`${account} may not ${verbs[role]} operations of the timelock ${timelock}: it lacks the ${role} role.`, {
      nextStep: `Nothing was sent. ${known} Use the key of such an account. If it is a Safe, its owners sign the call.`,
      context: { ...details },
    });
  }
}
