import { z } from "zod";
import { flagSchema, sizeSchema } from "./common.ts";
import { errorBodySchema } from "./errors.ts";
import { kmsInfoSchema } from "./kms.ts";

/** An accepted change. Only `correlation_id` is always present. `status` is `in_progress` or `no_change`. */
export const updateAcceptedSchema = z.looseObject({
  correlation_id: z.string(),
  status: z.string().optional(),
  message: z.string().optional(),
});

/**
 * The answer of `docker-compose`, `pre-launch-script` and `envs`. Before API version 2026-05-22, official clients accept
 * no other status than `in_progress`.
 */
export const inProgressSchema = z.looseObject({
  status: z.enum(["in_progress", "no_change"]),
  message: z.string(),
  correlation_id: z.string(),
});

export const envsInProgressSchema = inProgressSchema.extend({ allowed_envs_changed: z.boolean() });

/**
 * The current state of the app's contract. `device_id_allowed` is true if the device is listed or any device is
 * allowed.
 */
export const onchainStatusSchema = z.looseObject({
  compose_hash_allowed: z.boolean(),
  device_id_allowed: z.boolean(),
  is_allowed: z.boolean(),
});

/** What a 465 asks for. Hashes and ids are hex without `0x`. */
export const hashRegistrationSchema = z.looseObject({
  compose_hash: z.string().min(1),
  app_id: z.string().min(1),
  device_id: z.string().optional(),
  kms_info: kmsInfoSchema.optional(),
  commit_token: z.string().optional(),
  commit_url: z.string().optional(),
  api_commit_url: z.string().optional(),
  onchain_status: onchainStatusSchema.optional(),
});

/** The body of a 465: the values as `{field, value}` pairs in `details`, and flat copies for older clients. */
export const hashRegistrationBodySchema = errorBodySchema.extend({
  compose_hash: z.string().optional(),
  app_id: z.string().optional(),
  device_id: z.string().optional(),
  kms_info: kmsInfoSchema.optional(),
});

/**
 * Reads the values of a 465 body: from `details` if present there, otherwise from the flat copies.
 *
 * @throws ZodError if the body is not a 465's, or a value is missing or of another type
 */
export function parseHashRegistration(body: unknown): HashRegistration {
  const parsed = hashRegistrationBodySchema.parse(body);
  const { compose_hash, app_id, device_id, kms_info } = parsed;
  const values: Record<string, unknown> = { compose_hash, app_id, device_id, kms_info };
  for (const { field, value } of parsed.details ?? []) {
    if (field && value !== null && value !== undefined) values[field] = value;
  }
  return hashRegistrationSchema.parse(values);
}

/** `PATCH /cvms/{id}`, phase 1. All fields are optional; absent or null keeps the current value. */
export const patchCvmRequestSchema = z.looseObject({
  docker_compose_file: z.string().nullish(),
  pre_launch_script: z.string().nullish(),
  allowed_envs: z.array(z.string()).nullish(),
  public_logs: z.boolean().nullish(),
  public_sysinfo: z.boolean().nullish(),
  public_tcbinfo: z.boolean().nullish(),
  /** Replaces the whole environment. It is never merged with the current one. */
  encrypted_env: z.string().nullish(),
  user_config: z.string().nullish(),
  vcpu: sizeSchema.nullish(),
  memory: sizeSchema.nullish(),
  disk_size: sizeSchema.nullish(),
  instance_type: z.string().nullish(),
  image: z.string().nullish(),
  os_image_name: z.string().nullish(),
  gpus: z.looseObject({ count: z.number(), product_name: z.string().nullish() }).nullish(),
  listed: flagSchema.nullish(),
  gateway_enabled: flagSchema.nullish(),
  secure_time: flagSchema.nullish(),
  /** Seconds, 10 to 1200. */
  shutdown_timeout: z.number().nullish(),
  allow_force_stop: flagSchema.nullish(),
  /** False rejects a change that needs a restart of a running CVM. */
  allow_restart: flagSchema.nullish(),
  /** Phase 2, for clients that confirm in the body instead of in headers. */
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

/** `POST /cvms/{id}/confirm-patch`: both hashes, under either name. The headers of phase 2 may contain them instead. */
export const confirmPatchRequestSchema = z.looseObject({
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
  composeHash: z.string().nullish(),
  transactionHash: z.string().nullish(),
});

/** `PATCH /cvms/{id}/envs`, both phases. Without `env_keys` the current list of allowed names stays. */
export const patchEnvsRequestSchema = z.looseObject({
  encrypted_env: z.string(),
  env_keys: z.array(z.string()).nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

export type OnchainStatusAnswer = z.infer<typeof onchainStatusSchema>;
export type UpdateAccepted = z.infer<typeof updateAcceptedSchema>;
export type InProgress = z.infer<typeof inProgressSchema>;
export type EnvsInProgress = z.infer<typeof envsInProgressSchema>;
export type HashRegistration = z.infer<typeof hashRegistrationSchema>;
export type HashRegistrationBody = z.infer<typeof hashRegistrationBodySchema>;
export type PatchCvmRequest = z.infer<typeof patchCvmRequestSchema>;
export type PatchEnvsRequest = z.infer<typeof patchEnvsRequestSchema>;

/** `POST /cvms/{id}/commit-update`. The token may be in the URL instead. An empty text counts as absent. */
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
  /** Absent if the chain could not be read. */
  onchain_status: onchainStatusSchema.optional(),
  created_at: z.string(),
  expires_at: z.string(),
  /** Correlation id of the operation that the commit started. */
  correlation_id: z.string().nullable(),
});

/** A document's text and hash. */
const documentSchema = z.looseObject({ compose_hash: z.string(), compose_file: z.string() });

/**
 * `GET /apps/{app}/pending-updates/{vm}/{hash}/preview`. The vendor documents the path but not the fields, so the field
 * names are this project's.
 */
export const pendingUpdatePreviewSchema = z.looseObject({
  /** `instance`: a new replica or instance prepared from this CVM. This CVM itself does not change. */
  kind: z.enum(["update", "instance"]),
  app_id: z.string(),
  vm_uuid: z.string(),
  /** Whether a commit token was issued for it. If not, the same client has to confirm it. */
  has_commit_token: z.boolean(),
  current: documentSchema,
  pending: documentSchema,
  created_at: z.string(),
  expires_at: z.string(),
});

export type CommitUpdateRequest = z.infer<typeof commitUpdateRequestSchema>;
export type CommitTokenInfo = z.infer<typeof commitTokenInfoSchema>;
