import { errorCodes, statusCodes } from "../cloud/protocol.ts";
import type { Operation } from "./store/operations.ts";

/** The mock's own error codes, for errors without a code in the real API's documentation. */
export const mockErrorCodes = {
  /** 503: the backend's RPC endpoint gave no answer, so nothing was verified. */
  chainUnavailable: "ERR-01-503",
  /** 503: a fault that was set. */
  serviceUnavailable: "ERR-00-503",
  /** 503: the KMS is not running. */
  kmsUnavailable: "ERR-02-503",
  /** 409: an update waits for the finality of its registration, and the request would replace it. */
  updateAwaitsFinality: "ERR-01-409",
  /** 404: no update or instance waits for the registration of that hash. */
  pendingUpdateNotFound: "ERR-01-404",
} as const;

/** A request header of this mock cloud: `true` confirms that the request may replace an update that waits for finality. */
export const replacePendingHeader = "X-Replace-Pending-Update";

export interface ExplainedValue {
  readonly field: string;
  readonly value: unknown;
}

export interface ApiErrorOptions {
  readonly details?: readonly ExplainedValue[];
  readonly suggestions?: readonly string[];
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** A refusal with a code and a text. Any code below a route may throw it; http/server.ts writes the answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Without a code the body is `{detail: message}`. Clients retry a 409 only if it has no code. */
  readonly errorCode: string | undefined;
  readonly options: ApiErrorOptions;

  constructor(status: number, errorCode: string | undefined, message: string, options: ApiErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.status = status;
    this.errorCode = errorCode;
    this.options = options;
  }
}

/** One malformed part of a request. `location` starts with `body`, `path`, `query` or `header`. */
export class InvalidRequestError extends Error {
  override readonly name = "InvalidRequestError";
  readonly location: readonly string[];
  readonly type: string;

  constructor(location: readonly string[], message: string, type = "value_error") {
    super(message);
    this.location = location;
    this.type = type;
  }
}

export function unauthorized(): ApiError {
  return new ApiError(401, undefined, "Invalid or missing API key.");
}

export function cvmNotFound(identifier: string): ApiError {
  return new ApiError(404, errorCodes.cvmNotFound, `No CVM in this workspace matches "${identifier}".`, {
    suggestions: ["Check the identifier and the workspace of the API key."],
  });
}

export function appNotFound(reference: string): ApiError {
  return new ApiError(404, errorCodes.cvmNotFound, `This workspace has no CVM of an app "${reference}".`, {
    suggestions: ["Check the app id and the workspace of the API key."],
  });
}

export function workspaceNotFound(reference: string): ApiError {
  return new ApiError(404, undefined, `The API key belongs to no workspace "${reference}".`);
}

export function cvmAmbiguous(identifier: string, isName: boolean, hashids: readonly string[]): ApiError {
  const code = isName ? errorCodes.multipleCvmsSameName : errorCodes.identifierMatchesSeveralCvms;
  return new ApiError(400, code, `"${identifier}" matches ${hashids.length} CVMs.`, {
    details: [{ field: "cvm_ids", value: hashids }],
    suggestions: ["Use the id of one of them."],
  });
}

/** Has no code on purpose, because clients retry a 409 only if it has none. */
export function cvmBusy(name: string): ApiError {
  return new ApiError(409, undefined, `Another operation on CVM ${name} is in progress. Try again when it has ended.`);
}

/** Has a code, because the wait may be long: clients repeat a 409 without a code every few seconds. */
export function updateAwaitsFinality(
  name: string,
  { composeHash, awaitedTag, correlationId }: Pick<Operation, "composeHash" | "awaitedTag" | "correlationId">,
): ApiError {
  const message = `An update of CVM ${name} waits until the registration of compose hash ${composeHash} is ${awaitedTag}.`;
  return new ApiError(409, mockErrorCodes.updateAwaitsFinality, message, {
    details: [
      { field: "compose_hash", value: composeHash.slice(2) },
      { field: "awaited_tag", value: awaitedTag },
      { field: "pending_correlation_id", value: correlationId },
    ],
    suggestions: [`Wait, or send the header ${replacePendingHeader}: true to replace that update.`],
  });
}

export function restartNeeded(name: string): ApiError {
  return new ApiError(
    400,
    errorCodes.invalidRequest,
    `CVM ${name} would have to restart, which allow_restart forbids.`,
    {
      suggestions: ["Allow the restart, or stop the CVM first."],
    },
  );
}

export function pendingUpdateNotFound(cvmName: string, composeHash: string): ApiError {
  const message = `Nothing that CVM ${cvmName} was asked for waits for compose hash ${composeHash}.`;
  return new ApiError(404, mockErrorCodes.pendingUpdateNotFound, message, {
    details: [{ field: "compose_hash", value: composeHash.slice(2) }],
    suggestions: ["It was never proposed, or is committed, superseded, outdated or expired by now."],
  });
}

export function notOfficialScript(): ApiError {
  const message = "The CVM's pre-launch script is the owner's own, so the cloud has no newer version of it.";
  return new ApiError(400, errorCodes.incompatibleConfig, message, {
    suggestions: ["PATCH /cvms/{id}/pre-launch-script replaces it by a script that you send."],
  });
}

export function notOnChain(appId: string): ApiError {
  return new ApiError(400, errorCodes.incompatibleConfig, `App ${appId} uses no on-chain KMS, so no contract decides.`);
}

export function kmsNotFound(reference: string): ApiError {
  return new ApiError(404, errorCodes.kmsNotFound, `There is no KMS "${reference}".`);
}

export function kmsUnavailable(kmsId: string): ApiError {
  return new ApiError(503, mockErrorCodes.kmsUnavailable, `KMS ${kmsId} does not answer.`, {
    suggestions: ["Start the mock cloud with this KMS among its options, or seed it."],
    retryAfterSeconds: 5,
  });
}

export function webhookNotFound(reference: string): ApiError {
  return new ApiError(404, undefined, `This workspace has no webhook ${reference}.`);
}

export function composeInvalid(message: string, nextStep: string | undefined): ApiError {
  return new ApiError(400, errorCodes.composeFileInvalid, message, nextStep ? { suggestions: [nextStep] } : {});
}

export function hashInvalidOrExpired(problem: string): ApiError {
  return new ApiError(statusCodes.hashInvalidOrExpired, errorCodes.hashInvalidOrExpired, problem, {
    suggestions: ["Start the update again."],
  });
}

/** The message contains "Invalid": a client looks for that word before it suggests to prepare the update again. */
export function commitTokenInvalid(problem: string): ApiError {
  return new ApiError(
    statusCodes.hashInvalidOrExpired,
    errorCodes.hashInvalidOrExpired,
    `Invalid or expired commit token: ${problem}`,
    { suggestions: ["Prepare the update again."] },
  );
}

/** @param cause if it is an ApiError, it is returned unchanged */
export function chainUnavailable(chainId: number, cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  const message = `The cloud cannot read chain ${chainId} right now, so nothing was verified and nothing changed.`;
  return new ApiError(503, mockErrorCodes.chainUnavailable, message, {
    suggestions: ["Send the same request again later; the registration on chain stays valid."],
    retryAfterSeconds: 5,
    cause,
  });
}
