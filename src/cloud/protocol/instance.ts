import { z } from "zod";
import { flagSchema } from "./common.ts";
import { nodeRefSchema } from "./cvm.ts";
import { hashRegistrationBodySchema, onchainStatusSchema } from "./update.ts";

/** Request that finishes a prepared CVM. Clients send an empty text for absent fields. */
export const commitInstanceRequestSchema = z.looseObject({
  token: z.string().nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

/** `POST /cvms/{id}/replicas`: creates another CVM like this one. The body may be `null` or missing. */
export const replicateCvmRequestSchema = z.looseObject({
  node_id: z.number().int().nullish(),
  /** Used instead of the source CVM's environment. */
  encrypted_env: z.string().nullish(),
  /** Hash of another document that the app runs or ran. */
  compose_hash: z.string().nullish(),
});

/** `POST /apps/{app}/instances`: creates another CVM of an app or, with a token, finishes a prepared one. */
export const createAppInstanceRequestSchema = commitInstanceRequestSchema.extend({
  name: z.string().nullish(),
  node_id: z.number().int().nullish(),
  docker_compose_file: z.string().nullish(),
  pre_launch_script: z.string().nullish(),
  encrypted_env: z.string().nullish(),
});

/** A 465 for a new CVM of an app: its `details` also hold `commit_token`, `commit_url`, `api_commit_url`, `onchain_status`. */
export const instanceRegistrationBodySchema = hashRegistrationBodySchema.extend({ commit_token: z.string() });

/**
 * What a commit token stands for: the answer to a GET of its commit URL. Needs no API key: the token is the permission.
 */
export const preparedInstanceSchema = z.looseObject({
  status: z.enum(["pending", "committed", "expired"]),
  name: z.string(),
  app_id: z.string(),
  compose_hash: z.string(),
  device_id: z.string(),
  node: nodeRefSchema,
  expires_at: z.string(),
  /** UUID of the CVM that was created from it. */
  vm_uuid: z.string().nullable(),
  onchain_status: onchainStatusSchema.nullable(),
});

export type PreparedInstanceAnswer = z.infer<typeof preparedInstanceSchema>;
export type ReplicateCvmRequest = z.infer<typeof replicateCvmRequestSchema>;
export type CreateAppInstanceRequest = z.infer<typeof createAppInstanceRequestSchema>;
export type CommitInstanceRequest = z.infer<typeof commitInstanceRequestSchema>;
export type InstanceRegistrationBody = z.infer<typeof instanceRegistrationBodySchema>;

/** `PATCH /cvms/{id}/instance-id`. */
export const refreshInstanceIdRequestSchema = z.looseObject({
  overwrite: flagSchema.nullish(),
  dry_run: flagSchema.nullish(),
});

/** `PATCH /cvms/instance-ids`. */
export const refreshInstanceIdsRequestSchema = refreshInstanceIdRequestSchema.extend({
  cvm_ids: z.array(z.string()).nullish(),
  running_only: flagSchema.nullish(),
  missing_only: flagSchema.nullish(),
  limit: z.number().int().min(1).max(500).nullish(),
});

export const instanceIdRefreshSchema = z.looseObject({
  cvm_id: z.union([z.number().int(), z.string()]),
  identifier: z.string(),
  status: z.enum(["updated", "unchanged", "skipped", "conflict", "error"]),
  source: z.enum(["teepod_state", "teepod_info", "gateway", "none"]),
  verified_with_gateway: z.boolean(),
  old_instance_id: z.string().nullable(),
  new_instance_id: z.string().nullable(),
  reason: z.string().nullable(),
});

export const instanceIdRefreshesSchema = z.looseObject({
  total: z.number().int(),
  scanned: z.number().int(),
  updated: z.number().int(),
  unchanged: z.number().int(),
  skipped: z.number().int(),
  conflicts: z.number().int(),
  errors: z.number().int(),
  items: z.array(instanceIdRefreshSchema),
});

export type InstanceIdRefresh = z.infer<typeof instanceIdRefreshSchema>;
