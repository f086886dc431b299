import { DstackError } from "./base.ts";

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
    super(`The batch stopped after ${details.done} of ${details.total} calls: ${why}`, {
      cause,
      nextStep:
        "Run the same command again: what is recorded is looked for first, and what is done is not sent a second time.",
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
    super(`It is so already on ${first?.to}: ${first?.description}${more}.`, {
      nextStep: "Leave it out. Such a call costs more than a real change and logs an event that is not true.",
      context: { calls: calls.map(({ to, description }) => ({ to, description })) },
    });
  }
}

export class ForeignDelegationError extends BatchError {
  override readonly name = "ForeignDelegationError";
  constructor(account: string, delegate: string) {
    super(`${account} delegates to ${delegate} already, which is not the batch executor.`, {
      nextStep:
        "Use mode none, or undo that delegation first by naming its address as the delegate, if you know it is not needed: it is never replaced silently.",
      context: { account, delegate },
    });
  }
}

export class DelegationUnsupportedError extends BatchError {
  override readonly name = "DelegationUnsupportedError";
  constructor(reason: string, options: { readonly cause?: unknown } = {}) {
    super(`One transaction through EIP-7702 is not possible: ${reason}.`, {
      ...options,
      nextStep: "Use --batch none, or auto, which falls back to it.",
      context: { reason },
    });
  }
}

export class ExecutorMismatchError extends BatchError {
  override readonly name = "ExecutorMismatchError";
  constructor(address: string, actualCodeHash: string, expectedCodeHash: string) {
    super(`The code at ${address} is not the batch executor's.`, {
      nextStep: "Nothing was authorised. Do not delegate to it; use --batch none and look at what is there.",
      context: { address, actualCodeHash, expectedCodeHash },
    });
  }
}
