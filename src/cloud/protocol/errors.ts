import { z } from "zod";

/** One value of an error with an explanation, such as the hash that a 465 asks to register. */
export const errorDetailSchema = z.looseObject({
  field: z.string().nullish(),
  value: z.unknown().optional(),
  message: z.string().nullish(),
});

/** The preferred error body: a code for programs and text for people. */
export const errorBodySchema = z.looseObject({
  error_code: z.string(),
  message: z.string(),
  details: z.array(errorDetailSchema).nullish(),
  suggestions: z.array(z.string()).nullish(),
  links: z.array(z.looseObject({ url: z.string(), label: z.string() })).nullish(),
  request_id: z.string().nullish(),
});

/** Errors without a code: 401, 403, and the 409 of a busy CVM. Clients retry that 409 only if it has no code. */
export const plainErrorBodySchema = z.looseObject({ detail: z.string() });

/** 422: which part of the request is malformed. `loc` starts with `body`, `path`, `query` or `header`. */
export const validationErrorBodySchema = z.looseObject({
  detail: z.array(
    z.looseObject({
      loc: z.array(z.union([z.string(), z.number()])),
      msg: z.string(),
      type: z.string(),
    }),
  ),
});

export type ErrorDetail = z.infer<typeof errorDetailSchema>;
export type ErrorBody = z.infer<typeof errorBodySchema>;
export type PlainErrorBody = z.infer<typeof plainErrorBodySchema>;
export type ValidationErrorBody = z.infer<typeof validationErrorBodySchema>;

/** The API's own HTTP statuses for updates of CVMs whose app has a contract. */
export const statusCodes = {
  /** Not a failure: register this compose hash on chain, then confirm. */
  hashRegistrationRequired: 465,
  hashInvalidOrExpired: 466,
  transactionNotVerified: 467,
  hashNotAllowed: 468,
} as const;

/** The API's own error codes, `ERR-<module>-<number>`, by meaning. */
export const errorCodes = {
  nodeNotFound: "ERR-01-001",
  composeFileRequired: "ERR-01-002",
  composeFileInvalid: "ERR-01-003",
  duplicateCvmName: "ERR-01-004",
  hashRegistrationRequired: "ERR-01-005",
  hashInvalidOrExpired: "ERR-01-006",
  transactionNotVerified: "ERR-01-007",
  hashNotAllowed: "ERR-01-008",
  instanceTypeNotFound: "ERR-02-001",
  resourceNotAvailable: "ERR-02-002",
  insufficientVcpu: "ERR-02-003",
  insufficientMemory: "ERR-02-004",
  insufficientSlots: "ERR-02-005",
  invalidRequest: "ERR-02-008",
  incompatibleConfig: "ERR-02-009",
  imageNotFound: "ERR-02-010",
  kmsNotFound: "ERR-02-011",
  cvmNotFound: "ERR-03-001",
  multipleCvmsSameName: "ERR-03-002",
  cvmAppIdConflict: "ERR-03-007",
  composeHashNeeded: "ERR-03-009",
  identifierMatchesSeveralCvms: "ERR-03-010",
} as const;

export type CloudErrorCode = (typeof errorCodes)[keyof typeof errorCodes];
