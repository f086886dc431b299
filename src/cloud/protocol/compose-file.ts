import { z } from "zod";
import { kmsInfoSchema } from "./kms.ts";

/** `GET /cvms/{id}/compose_file`: the app-compose document as an object. Any further key belongs to it. */
export const composeFileSchema = z.looseObject({
  docker_compose_file: z.string().nullish(),
  name: z.string().nullish(),
  manifest_version: z.union([z.number(), z.string()]).nullish(),
  runner: z.string().nullish(),
  allowed_envs: z.array(z.string()).nullish(),
  features: z.array(z.string()).nullish(),
  pre_launch_script: z.string().nullish(),
  public_logs: z.boolean().nullish(),
  public_sysinfo: z.boolean().nullish(),
  public_tcbinfo: z.boolean().nullish(),
  kms_enabled: z.boolean().nullish(),
  gateway_enabled: z.boolean().nullish(),
});

/** `POST /cvms/{id}/compose_file/provision`: fields of an app-compose document, and one flag beside them. */
export const provisionComposeFileRequestSchema = composeFileSchema.extend({
  docker_compose_file: z.string(),
  encrypted_env: z.string().nullish(),
  update_env_vars: z.boolean().nullish(),
});

export const provisionComposeFileSchema = z.looseObject({
  app_id: z.string().nullable(),
  device_id: z.string().nullable(),
  compose_hash: z.string(),
  kms_info: kmsInfoSchema.nullish(),
  compose_hash_registered: z.boolean().optional(),
});

/** `PATCH /cvms/{id}/compose_file`: puts a provisioned document in force. */
export const commitComposeFileRequestSchema = z.looseObject({
  compose_hash: z.string().min(1),
  encrypted_env: z.string().nullish(),
  env_keys: z.array(z.string()).nullish(),
  update_env_vars: z.boolean().nullish(),
});

export type ComposeFile = z.infer<typeof composeFileSchema>;
export type ProvisionComposeFileRequest = z.infer<typeof provisionComposeFileRequestSchema>;
export type ProvisionComposeFile = z.infer<typeof provisionComposeFileSchema>;
export type CommitComposeFileRequest = z.infer<typeof commitComposeFileRequestSchema>;
