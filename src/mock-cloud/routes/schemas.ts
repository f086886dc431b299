import { z } from "zod";
import {
  errorBodySchema,
  hashRegistrationBodySchema,
  plainErrorBodySchema,
  validationErrorBodySchema,
} from "../../cloud/protocol.ts";
import { schemaRegistry } from "./schema-registry.ts";

const anyErrorSchema = z.union([errorBodySchema, plainErrorBodySchema]);

/** What any endpoint may answer instead of its own. */
export const refusals = {
  400: errorBodySchema,
  401: plainErrorBodySchema,
  403: plainErrorBodySchema,
  404: anyErrorSchema,
  413: errorBodySchema,
  415: plainErrorBodySchema,
  422: validationErrorBodySchema,
  429: plainErrorBodySchema,
  500: plainErrorBodySchema,
  503: errorBodySchema,
} as const;

/** Endpoints that change a CVM, which may be busy. */
export const mutationRefusals = { ...refusals, 409: anyErrorSchema } as const;

/** Endpoints that work in two phases. */
export const twoPhaseRefusals = {
  ...mutationRefusals,
  465: hashRegistrationBodySchema,
  466: errorBodySchema,
  467: errorBodySchema,
  468: errorBodySchema,
} as const;

export const cvmParams = z.object({
  cvm_id: described(z.string(), "Hashid, number, UUID, `app_…`, `0x…`, bare app id, `instance_…`, or unique name."),
});

export const appParams = z.object({ app_id: described(z.string(), "Bare app id, `0x…` or `app_…`.") });

/** Endpoints whose answers differ between API versions. Any date is taken; the newest shapes are the default. */
export const versionHeaders = z.looseObject({
  "x-phala-version": described(z.string().optional(), "A date such as 2026-01-21, or `latest`."),
});

/** Hash and transaction of phase 2. A client may send them in the body instead. */
export const confirmationHeaders = z.looseObject({
  "x-compose-hash": z.string().optional(),
  "x-transaction-hash": z.string().optional(),
  "x-prepare-only": described(z.string().optional(), "`true` asks for a commit token where a hash must be registered."),
});

/** Asks for a commit token instead of an immediate change. */
export const prepareHeaders = versionHeaders.extend({ "x-prepare-only": z.string().optional() });

/** A text as `text/plain`, not as a JSON string. */
export const textAnswer = { content: { "text/plain": { schema: z.string() } } };

export function described<Schema extends z.ZodType>(schema: Schema, description: string): Schema {
  schemaRegistry.add(schema, { description });
  return schema;
}
