import { z } from "zod";
import { cleanText } from "../../core/text.ts";
import {
  type CloudAnswer,
  CloudResponseError,
  CvmBusyError,
  CvmNotFoundError,
  HashExpiredError,
  HashNotAllowedError,
  TransactionNotVerifiedError,
  UnauthorizedError,
} from "../../errors/index.ts";
import { errorCodes, statusCodes, validationErrorBodySchema } from "../protocol.ts";

const structuredSchema = z.looseObject({
  error_code: z.string().optional(),
  message: z.string().optional(),
  correlation_id: z.string().optional(),
  request_id: z.string().nullish(),
});

/** What a refusal says, whichever of the API's error shapes it has; a body that is none of them says nothing. */
export function describeAnswer(
  exchange: Pick<CloudAnswer, "method" | "path" | "status" | "correlationId">,
  body: unknown,
): CloudAnswer {
  const inner = z.looseObject({ detail: z.unknown() }).safeParse(body);
  const detail = inner.success ? inner.data.detail : undefined;
  const parsed = structuredSchema.safeParse(isObject(detail) ? detail : body);
  const { error_code, message, correlation_id, request_id } = parsed.success ? parsed.data : {};
  const said = message ?? (typeof detail === "string" ? detail : describeValidation(body));
  return {
    ...exchange,
    errorCode: error_code === undefined ? undefined : cleanText(error_code),
    apiMessage: said === undefined ? undefined : cleanText(said),
    correlationId: cleanText(correlation_id ?? request_id ?? exchange.correlationId ?? "") || undefined,
  };
}

/** The error class that a caller can act on. */
export function refusalOf(answer: CloudAnswer): CloudResponseError {
  switch (answer.status) {
    case 401:
    case 403:
      return new UnauthorizedError(answer);
    case 404:
      return isAboutCvm(answer) ? new CvmNotFoundError(answer) : new CloudResponseError(answer);
    case 409:
      return isConflictOfNames(answer) ? new CloudResponseError(answer) : new CvmBusyError(answer);
    case statusCodes.hashInvalidOrExpired:
      return new HashExpiredError(answer);
    case statusCodes.transactionNotVerified:
      return new TransactionNotVerifiedError(answer);
    case statusCodes.hashNotAllowed:
      return new HashNotAllowedError(answer);
    default:
      return new CloudResponseError(answer, isAmbiguous(answer) ? "Name one of them by its id, cvm_…" : undefined);
  }
}

function isAboutCvm({ path, errorCode }: CloudAnswer): boolean {
  return path.startsWith("/cvms/") && (errorCode === undefined || errorCode === errorCodes.cvmNotFound);
}

/** Replicas of an app may share their name. */
function isAmbiguous({ errorCode }: CloudAnswer): boolean {
  return errorCode === errorCodes.multipleCvmsSameName || errorCode === errorCodes.identifierMatchesSeveralCvms;
}

function isConflictOfNames({ errorCode }: CloudAnswer): boolean {
  return errorCode === errorCodes.duplicateCvmName || errorCode === errorCodes.cvmAppIdConflict;
}

function describeValidation(body: unknown): string | undefined {
  const parsed = validationErrorBodySchema.safeParse(body);
  if (!parsed.success) return undefined;
  return parsed.data.detail.map(({ loc, msg }) => `${loc.slice(1).join(".") || loc.join(".")}: ${msg}`).join("; ");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
