import type { FastifyError } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import { errorCodes } from "../../cloud/protocol.ts";
import { isDstackError } from "../../errors/index.ts";
import { ApiError, composeInvalid, InvalidRequestError } from "../errors.ts";
import { StoreFullError } from "../store/database.ts";

export interface ErrorAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds?: number | undefined;
}

/** The names that validation errors use for the parts of a request. */
const locationWords: Readonly<Record<string, string>> = {
  body: "body",
  params: "path",
  querystring: "query",
  headers: "header",
};

/** Turns an error into one of the API's documented answers. The answer to an unexpected error reveals no details. */
export function toErrorAnswer(error: unknown, requestId: string): ErrorAnswer {
  if (error instanceof ApiError) return fromApiError(error, requestId);
  if (error instanceof StoreFullError) return { status: 507, body: { detail: error.message } };
  if (error instanceof InvalidRequestError) {
    return invalid([{ loc: error.location, msg: error.message, type: error.type }]);
  }
  if (isDstackError(error) && error.family === "input") {
    return fromApiError(composeInvalid(error.message, error.nextStep), requestId);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const word = locationWords[error.validationContext ?? "body"] ?? "body";
    return invalid(
      error.validation.map(({ instancePath, message, keyword }) => ({
        loc: [word, ...instancePath.split("/").filter((part) => part !== "")],
        msg: message ?? "Invalid value",
        type: keyword,
      })),
    );
  }
  return fromFastifyError(error, requestId);
}

function fromApiError(error: ApiError, requestId: string): ErrorAnswer {
  const { details, suggestions, retryAfterSeconds } = error.options;
  const body =
    error.errorCode === undefined
      ? { detail: error.message }
      : {
          error_code: error.errorCode,
          message: error.message,
          ...(details && { details }),
          ...(suggestions && { suggestions }),
          request_id: requestId,
          correlation_id: requestId,
        };
  return { status: error.status, body, retryAfterSeconds };
}

function fromFastifyError(error: unknown, requestId: string): ErrorAnswer {
  const { code, statusCode = 500 } = error instanceof Error ? (error as Partial<FastifyError>) : {}; // optional fields
  if (code === "FST_ERR_CTP_INVALID_JSON_BODY" || error instanceof SyntaxError) {
    return invalid([{ loc: ["body"], msg: "The body is not JSON.", type: "json_invalid" }]);
  }
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return fromApiError(new ApiError(413, errorCodes.invalidRequest, "The body is too large."), requestId);
  }
  if (statusCode === 400 && error instanceof Error) {
    return fromApiError(new ApiError(400, errorCodes.invalidRequest, error.message), requestId);
  }
  if (statusCode > 400 && statusCode < 500 && error instanceof Error) {
    return { status: statusCode, body: { detail: error.message } };
  }
  return { status: 500, body: { detail: "Internal server error", request_id: requestId } };
}

function invalid(detail: readonly { loc: readonly string[]; msg: string; type: string }[]): ErrorAnswer {
  return { status: 422, body: { detail } };
}

/** Query of a list with pages. */
export const pageQuery = z.object({
  page: z.coerce.number().int().min(1).default(1),
  page_size: z.coerce.number().int().min(1).max(1000).default(30),
});

export type PageQuery = z.infer<typeof pageQuery>;

export interface Page<Item> {
  readonly items: Item[];
  readonly total: number;
  readonly page: number;
  readonly page_size: number;
  readonly pages: number;
}

export function paginate<Item>(all: readonly Item[], { page, page_size }: PageQuery): Page<Item> {
  const from = (page - 1) * page_size;
  return {
    items: all.slice(from, from + page_size),
    total: all.length,
    page,
    page_size,
    pages: Math.ceil(all.length / page_size),
  };
}
