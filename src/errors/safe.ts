import { DstackError, type DstackErrorOptions } from "./base.ts";
import { CloudError } from "./cloud.ts";

export interface SafeServiceUnreachableOptions extends Pick<DstackErrorOptions, "cause"> {
  /** The failure of the network in words, and its code, such as ECONNREFUSED. */
  readonly failure?: { readonly words: string; readonly code: string } | undefined;
  /** The time limit that passed. */
  readonly timeoutMs?: number | undefined;
}

export class SafeServiceUnreachableError extends CloudError {
  override readonly name = "SafeServiceUnreachableError";
  constructor(host: string, { failure, timeoutMs, ...options }: SafeServiceUnreachableOptions = {}) {
    const why = failure === undefined ? "" : ` (${failure.words})`;
    const late = timeoutMs === undefined ? "" : ` within ${timeoutMs / 1000} s`;
    super(`The Safe transaction service ${host} did not answer${late}${why}.`, {
      ...options,
      nextStep: "Try again later. Or pass proposal files from owner to owner, without a service: `service: none`.",
      context: {
        host,
        ...(failure !== undefined && { failure: failure.code }),
        ...(timeoutMs !== undefined && { failure: "TIMEOUT", timeoutMs }),
      },
    });
  }
}

export interface SafeServiceAnswer {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** What it says, cleaned. */
  readonly words: string;
}

/** The service refuses a request, or answers in a form that is not its API's. */
export class SafeServiceError extends CloudError {
  override readonly name = "SafeServiceError";
  readonly answer: SafeServiceAnswer;
  constructor(answer: SafeServiceAnswer, options: Pick<DstackErrorOptions, "cause"> = {}) {
    const { host, method, path, status, words } = answer;
    super(`The Safe transaction service ${host} answers ${method} ${path} with ${words}.`, {
      ...options,
      nextStep: adviceOn(status),
      context: { ...answer },
      retryable: status === 429 || status >= 500,
    });
    this.answer = answer;
  }
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return "Check the API key of the service: `apiKey`.";
  if (status === 404) return "Check the address of the service, and that it serves this chain and this Safe.";
  if (status === 429 || status >= 500) return "Try again later.";
  return "Check the address of the service. The service's own words say what it refuses.";
}

/** The service says something about a Safe transaction that its own data or the chain disproves. */
export class SafeServiceContradictedError extends CloudError {
  override readonly name = "SafeServiceContradictedError";
  /** @param problem what is not true, as a whole sentence */
  constructor(host: string, problem: string, context: Readonly<Record<string, unknown>> = {}) {
    super(`The Safe transaction service ${host} is not to be believed. ${problem}`, {
      nextStep:
        "Nothing was signed or sent. Check the address of the service, or do without it: pass `service: none` and proposal files.",
      context: { host, problem, ...context },
    });
  }
}

export class InvalidProposalFileError extends DstackError {
  override readonly name = "InvalidProposalFileError";
  override readonly family = "input";
  constructor(path: string, problem: string, options: Pick<DstackErrorOptions, "cause"> = {}) {
    super(`The proposal file ${path} is not usable: ${problem}.`, {
      ...options,
      nextStep: "Nothing was signed or sent. Ask for the file again, or propose the plan again.",
      context: { path, problem },
    });
  }
}

abstract class SafeError extends DstackError {
  readonly family = "chain";
}

/** The Safe transaction does not make exactly the plan's calls, or makes them in a dangerous way. */
export class UnplannedSafeTransactionError extends SafeError {
  override readonly name = "UnplannedSafeTransactionError";
  /** @param objections whole sentences */
  constructor(safeTxHash: string, objections: readonly string[]) {
    super(`Safe transaction ${safeTxHash} is not the plan. ${objections.join(" ")}`, {
      nextStep: "Do not sign it. Nothing was signed or sent. Find out who proposed it, and propose the plan again.",
      context: { safeTxHash, objections },
    });
  }
}

export interface SafeNonceDetails {
  readonly safe: string;
  /** Nonce of the transaction. */
  readonly nonce: bigint;
  /** Nonce that the Safe executes next. */
  readonly next: bigint;
  /** The end of a sentence about the nonce. */
  readonly problem: string;
  readonly nextStep: string;
}

/** The Safe cannot execute a transaction with this nonce, or not yet. */
export class SafeNonceError extends SafeError {
  override readonly name = "SafeNonceError";
  constructor({ safe, nonce, next, problem, nextStep }: SafeNonceDetails) {
    super(`Nonce ${nonce} of the Safe ${safe} ${problem}.`, {
      nextStep: `Nothing was signed or sent. ${nextStep}`,
      context: { safe, nonce: `${nonce}`, next: `${next}`, problem },
    });
  }
}

export interface SafeConfirmationsDetails {
  readonly safeTxHash: string;
  readonly threshold: bigint;
  /** The owners whose confirmations count. */
  readonly confirmedBy: readonly string[];
  /** Those who may still confirm. */
  readonly missing: readonly string[];
  readonly rejected: readonly { readonly owner: string; readonly problem: string }[];
}

/** Fewer of the Safe's owners have confirmed a transaction than the Safe requires. */
export class SafeConfirmationsError extends SafeError {
  override readonly name = "SafeConfirmationsError";
  constructor({ threshold, ...details }: SafeConfirmationsDetails) {
    const { safeTxHash, confirmedBy, missing, rejected } = details;
    const given = confirmedBy.length;
    const not = rejected.map(({ owner, problem }) => ` ${owner} ${problem}.`).join("");
    super(
      `Safe transaction ${safeTxHash} has ${given === 1 ? "1 confirmation" : `${given} confirmations`}, ${threshold} needed.${not}`,
      {
        nextStep: `Nothing was sent. Of these owners, ${threshold - BigInt(given)} must sign: ${missing.join(", ")}.`,
        context: { ...details, threshold: `${threshold}` },
      },
    );
  }
}

export class NotSafeOwnerError extends SafeError {
  override readonly name = "NotSafeOwnerError";
  constructor(details: { readonly safe: string; readonly signer: string; readonly owners: readonly string[] }) {
    super(`${details.signer} is not an owner of the Safe ${details.safe}.`, {
      nextStep: `Nothing was signed. Its owners are ${details.owners.join(", ")}.`,
      context: details,
    });
  }
}
