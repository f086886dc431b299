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

export interface TimelockNotReadyDetails extends TimelockOperationDetails {
  /** ISO 8601. Undefined if only the predecessor is missing. */
  readonly readyAt?: string | undefined;
  /** Time that is left, in words. */
  readonly left?: string | undefined;
  /** The operation that must be executed first. */
  readonly predecessor?: string | undefined;
}

export class TimelockNotReadyError extends TimelockError {
  override readonly name = "TimelockNotReadyError";
  readonly readyAt: string | undefined;
  constructor(details: TimelockNotReadyDetails) {
    const { operationId, timelock, readyAt, left, predecessor } = details;
    const why =
      readyAt === undefined
        ? `waits for its predecessor ${predecessor}, which is not executed`
        : `can be executed from ${readyAt} on, in ${left}`;
    const nextStep =
      readyAt === undefined ? "Execute the predecessor first." : `Run the same command again after ${readyAt}.`;
    super(`Operation ${operationId} of the timelock ${timelock} ${why}.`, {
      nextStep: `Nothing was sent. ${nextStep}`,
      context: { ...details },
    });
    this.readyAt = readyAt;
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
    const known = holders.length === 0 ? "No account is known to have it." : `It belongs to ${holders.join(", ")}.`;
    super(`${account} may not ${verbs[role]} operations of the timelock ${timelock}: it lacks the ${role} role.`, {
      nextStep: `Nothing was sent. ${known} Use the key of such an account. If it is a Safe, its owners sign the call.`,
      context: { ...details },
    });
  }
}
