import { DstackError, type DstackErrorOptions } from "./base.ts";

/** The API's answer, field by field. Never put a whole body into a message: it is untrusted data. */
export interface CloudAnswer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** The API's own code, such as ERR-01-007. */
  readonly errorCode?: string | undefined;
  readonly apiMessage?: string | undefined;
  /** For a support ticket: `correlation_id`, `request_id` or the X-Request-ID header. */
  readonly correlationId?: string | undefined;
}

export abstract class CloudError extends DstackError {
  readonly family = "cloud";
}

export class CloudUnreachableError extends CloudError {
  override readonly name = "CloudUnreachableError";
  constructor(method: string, path: string, options: Pick<DstackErrorOptions, "cause"> = {}) {
    super(`The cloud API did not answer ${method} ${path}.`, {
      ...options,
      nextStep: "Check the API address and the network connection, then try again.",
      context: { method, path },
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
    super(`The cloud API refused ${answer.method} ${answer.path} with ${answer.status}${said}`, {
      nextStep: nextStep ?? (answer.status >= 500 ? "Try again later." : "Correct the request and try again."),
      context: { ...answer },
      retryable: answer.status === 429 || answer.status >= 500 ? true : undefined,
    });
    this.status = answer.status;
    this.answer = answer;
  }
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
