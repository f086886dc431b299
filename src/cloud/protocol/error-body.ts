import { z } from "zod";

/** One explained value of an error, such as the hash a 465 asks to register. */
export const errorDetailSchema = z.looseObject({
  field: z.string().nullish(),
  value: z.unknown().optional(),
  message: z.string().nullish(),
});

/** The preferred error body: a code to branch on, and text for people. */
export const errorBodySchema = z.looseObject({
  error_code: z.string(),
  message: z.string(),
  details: z.array(errorDetailSchema).nullish(),
  suggestions: z.array(z.string()).nullish(),
  links: z.array(z.looseObject({ url: z.string(), label: z.string() })).nullish(),
  request_id: z.string().nullish(),
});

/** Errors without a code: 401, 403, and the 409 of a busy CVM, which clients retry only while it has no code. */
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
