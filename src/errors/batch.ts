import { DstackError, isDstackError } from "./base.ts";

abstract class BatchError extends DstackError {
  readonly family = "chain";
}

export interface BatchStoppedDetails {
  /** Number of calls whose event was seen. */
  readonly done: number;
  /** Number of calls in signed transactions whose outcome is not known yet. */
  readonly pending: number;
  readonly total: number;
}

/** A batch in several transactions stopped before its last one. `result` has the outcome of every call. */
export class BatchStoppedError<Result = unknown> extends BatchError {
  override readonly name = "BatchStoppedError";
  readonly result: Result;
  constructor(details: BatchStoppedDetails, result: Result, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const advice = (isDstackError(cause) ? cause.nextStep : undefined) ?? "Try again.";
    super(`The batch stopped after ${details.done} of ${details.total} calls: ${why}`, {
      cause,
      nextStep: `${advice} The next run of the same command looks for the recorded transactions first, and completes those that are open.`,
      context: { ...details },
    });
    this.result = result;
  }
}

export class NoEffectError extends BatchError {
  override readonly name = "NoEffectError";
  constructor(calls: readonly { readonly to: string; readonly description: string }[]) {
    const [first] = calls;
    const more = calls.length > 1 ? `, and ${calls.length - 1} more` : "";
    super(`A call would change nothing on ${first?.to}: ${first?.description}${more}.`, {
      nextStep: "Leave it out. Such a call costs more than a real change, and logs an event that is not true.",
      context: { calls: calls.map(({ to, description }) => ({ to, description })) },
    });
  }
}

export class ForeignDelegationError extends BatchError {
  override readonly name = "ForeignDelegationError";
  constructor(account: string, delegate: string) {
    super(`${account} already delegates to ${delegate}, which is not the batch executor.`, {
      nextStep: `The batch does not replace a delegation. Pass \`mode: none\`. Or, if you know that the account does not need it, end that delegation first: \`undoDelegation\` with \`delegate: ${delegate}\`.`,
      context: { account, delegate },
    });
  }
}

const delegationPurposes = {
  batch: [
    "EIP-7702 cannot send the batch in one transaction",
    "Pass `mode: none`, or `mode: auto`, which then sends one transaction for each call.",
  ],
  undo: [
    "The delegation cannot be ended",
    "Sign with a key in this process, through an endpoint that takes transactions of EIP-7702.",
  ],
} as const;

export interface DelegationUnsupportedOptions {
  readonly cause?: unknown;
  /** What the delegation was signed for. @default "batch" */
  readonly purpose?: keyof typeof delegationPurposes | undefined;
}

export class DelegationUnsupportedError extends BatchError {
  override readonly name = "DelegationUnsupportedError";
  readonly reason: string;
  constructor(reason: string, { purpose = "batch", ...options }: DelegationUnsupportedOptions = {}) {
    const [problem, nextStep] = delegationPurposes[purpose];
    super(`${problem}: ${reason}.`, { ...options, nextStep, context: { reason } });
    this.reason = reason;
  }
}

export class ExecutorMismatchError extends BatchError {
  override readonly name = "ExecutorMismatchError";
  constructor(address: string, actualCodeHash: string, expectedCodeHash: string) {
    super(`The code at ${address} is not the code of the batch executor.`, {
      nextStep:
        "Nothing was authorised. Do not delegate to this code. Pass `mode: none`, and find out who deployed it.",
      context: { address, actualCodeHash, expectedCodeHash },
    });
  }
}

/** The transaction exists, or not yet, but it is not the execution of the plan. `context.reason` is one word for why. */
export class ExecutionNotProvenError extends BatchError {
  override readonly name = "ExecutionNotProvenError";
  constructor(message: string, context: { readonly reason: string; readonly transactionHash: string }) {
    super(message, {
      nextStep:
        context.reason === "extra-event"
          ? "Review the further changes: they are in force. If they are wanted, make a new plan. What the app allows already needs no new signature."
          : "Give the transaction that executed the plan. If there is none, check the plan, and execute it.",
      context: { ...context },
    });
  }
}
