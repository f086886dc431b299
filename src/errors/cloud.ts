import { DstackError, type DstackErrorOptions } from "./base.ts";

/** The API's answer, field by field. Never put a whole body into a message: it is untrusted data. */
export interface CloudAnswer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** The API's own code, such as ERR-01-007. */
  readonly errorCode?: string | undefined;
  readonly apiMessage?: string | undefined;
  /** Media type of an answer in none of the API's own forms. */
  readonly contentType?: string | undefined;
  /** Whether the server does not know the path itself, as below a wrong API address. */
  readonly isUnknownPath?: boolean | undefined;
  /** For a support ticket: `correlation_id`, `request_id` or the X-Request-ID header. */
  readonly correlationId?: string | undefined;
}

export abstract class CloudError extends DstackError {
  readonly family = "cloud";
}

export interface CloudUnreachableOptions extends Pick<DstackErrorOptions, "cause"> {
  /** The failure of the network in words, and its code, such as ECONNREFUSED. */
  readonly failure?: { readonly words: string; readonly code: string } | undefined;
  /** The time limit that passed. */
  readonly timeoutMs?: number | undefined;
}

export class CloudUnreachableError extends CloudError {
  override readonly name = "CloudUnreachableError";
  constructor(method: string, path: string, { failure, timeoutMs, ...options }: CloudUnreachableOptions = {}) {
    const why = failure === undefined ? "" : ` (${failure.words})`;
    const late = timeoutMs === undefined ? "" : ` within ${timeoutMs / 1000} s`;
    super(`The cloud API did not answer ${method} ${path}${late}${why}.`, {
      ...options,
      nextStep:
        timeoutMs === undefined
          ? "Check the API address and the network connection, then try again."
          : "Try again, or raise the time limit `timeoutMs`.",
      context: {
        method,
        path,
        ...(failure !== undefined && { failure: failure.code }),
        ...(timeoutMs !== undefined && { failure: "TIMEOUT", timeoutMs }),
      },
    });
  }
}

/** The API refused the request. Subclasses are the refusals that callers handle separately. */
export class CloudResponseError extends CloudError {
  override readonly name:
    | "CloudResponseError"
    | "UnauthorizedError"
    | "CvmNotFoundError"
    | "CvmBusyError"
    | "HashExpiredError"
    | "TransactionNotVerifiedError"
    | "HashNotAllowedError" = "CloudResponseError";
  readonly status: number;
  readonly answer: CloudAnswer;
  constructor(answer: CloudAnswer, nextStep?: string) {
    const said = answer.apiMessage === undefined ? "" : `: ${answer.apiMessage}`;
    const { method, path, status, isUnknownPath = false } = answer;
    super(
      isUnknownPath
        ? `The server at the API address does not know the path of ${method} ${path}: it answers ${status}${said}`
        : `The cloud API refused ${method} ${path} with ${status}${said}`,
      {
        nextStep: nextStep ?? adviceOn(answer),
        context: { ...answer },
        retryable: status === 429 || status >= 500 ? true : undefined,
      },
    );
    this.status = status;
    this.answer = answer;
  }
}

function adviceOn({ status, isUnknownPath }: CloudAnswer): string {
  if (isUnknownPath) return "Check the API address. It ends in /api/v1, as in https://cloud-api.phala.com/api/v1.";
  return status >= 500 ? "Try again later." : "Correct the request and try again.";
}

export class UnauthorizedError extends CloudResponseError {
  override readonly name = "UnauthorizedError";
  constructor(answer: CloudAnswer) {
    super(answer, "Check the API key and the workspace it belongs to.");
  }
}

export class CvmNotFoundError extends CloudResponseError {
  override readonly name = "CvmNotFoundError";
  constructor(answer: CloudAnswer) {
    super(answer, "Check the CVM's name or id, and the workspace of the API key.");
  }
}

export class CvmBusyError extends CloudResponseError {
  override readonly name = "CvmBusyError";
  constructor(answer: CloudAnswer) {
    super(answer, "Wait until the running operation has ended, then try again.");
  }
}

export class HashExpiredError extends CloudResponseError {
  override readonly name = "HashExpiredError";
  constructor(answer: CloudAnswer) {
    super(answer, "Start the update again. The cloud keeps only the newest prepared update of a CVM, for 14 days.");
  }
}

export class TransactionNotVerifiedError extends CloudResponseError {
  override readonly name = "TransactionNotVerifiedError";
  constructor(answer: CloudAnswer) {
    super(answer, "Check that your RPC endpoint and the cloud's follow the same chain, then try again.");
  }
}

export class HashNotAllowedError extends CloudResponseError {
  override readonly name = "HashNotAllowedError";
  constructor(answer: CloudAnswer) {
    super(
      answer,
      "The owner removed the hash again, or allowed it on another contract. Check the address of the app and its owner.",
    );
  }
}

export class KmsDowngradeError extends CloudError {
  override readonly name = "KmsDowngradeError";
  /** @param contradiction the evidence that the app is on a chain, as the end of a sentence */
  constructor(cvm: string, contradiction: string) {
    super(`The cloud says that the KMS of ${cvm} has no contract, but ${contradiction}.`, {
      nextStep:
        "Nothing was changed and no secret was sent. Check the API address. If this CVM really has no contract, pass neither `chain` nor `appId`, and name the CVM by its app id (app_…).",
      context: { cvm, contradiction },
    });
  }
}

export class CloudProtocolError extends CloudError {
  override readonly name = "CloudProtocolError";
  constructor(method: string, path: string, problem: string, options: Pick<DstackErrorOptions, "cause"> = {}) {
    super(`The answer to ${method} ${path} has an unknown form: ${problem}.`, {
      ...options,
      nextStep: "Check that the API address belongs to a Phala Cloud API. If it does, report this as a bug.",
      context: { method, path, problem },
    });
  }
}
