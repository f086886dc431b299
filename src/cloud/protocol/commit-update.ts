import { z } from "zod";
import { kmsInfoSchema } from "./kms.ts";
import { onchainStatusSchema } from "./update.ts";

/** `POST /cvms/{id}/commit-update`. The token may stand in the URL instead; an empty text counts as left out. */
export const commitUpdateRequestSchema = z.looseObject({
  token: z.string().nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

export const commitUpdateSchema = z.looseObject({
  vm_uuid: z.string(),
  correlation_id: z.string(),
  status: z.string(),
  message: z.string(),
});

/** `GET /cvms/{id}/commit-update?token=`: what a commit token stands for. Hashes and ids are hex without `0x`. */
export const commitTokenInfoSchema = z.looseObject({
  status: z.enum(["pending", "committed", "superseded", "expired", "outdated"]),
  cvm_name: z.string(),
  vm_uuid: z.string(),
  app_id: z.string(),
  compose_hash: z.string(),
  current_compose_hash: z.string(),
  device_id: z.string(),
  kms_info: kmsInfoSchema,
  /** Missing when the chain gave no answer. */
  onchain_status: onchainStatusSchema.optional(),
  created_at: z.string(),
  expires_at: z.string(),
  /** Of the operation the commit started. */
  correlation_id: z.string().nullable(),
});

/** A document's text and hash. */
const documentSchema = z.looseObject({ compose_hash: z.string(), compose_file: z.string() });

/**
 * `GET /apps/{app}/pending-updates/{vm}/{hash}/preview`. The vendor publishes the path, not the fields: these names are
 * this repository's.
 */
export const pendingUpdatePreviewSchema = z.looseObject({
  /** `instance`: a replica or further instance that was prepared from this CVM, which itself stays as it is. */
  kind: z.enum(["update", "instance"]),
  app_id: z.string(),
  vm_uuid: z.string(),
  /** Whether a commit token was given out for it; else the same client is to confirm it. */
  has_commit_token: z.boolean(),
  current: documentSchema,
  pending: documentSchema,
  created_at: z.string(),
  expires_at: z.string(),
});

export type CommitUpdateRequest = z.infer<typeof commitUpdateRequestSchema>;
export type CommitTokenInfo = z.infer<typeof commitTokenInfoSchema>;
