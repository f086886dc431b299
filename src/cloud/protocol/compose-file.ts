import { z } from "zod";
import { flagSchema } from "./common.ts";
import { cvmDetail20251028Schema } from "./cvm.ts";
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

/** `POST /cvms/{id}/compose_file/provision`: fields of an app-compose document, plus an environment and a flag. */
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

/** `PATCH /cvms/{id}/compose_file`: makes a provisioned document the current one. */
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

/** An accepted change of a CVM of the app. Hashes and ids are hex without `0x`. */
export const revisionSchema = z.looseObject({
  revision_id: z.string(),
  app_id: z.string(),
  vm_uuid: z.string(),
  compose_hash: z.string(),
  created_at: z.string(),
  /** The correlation id of the change. */
  trace_id: z.string().nullish(),
  /** `create` or `update`. */
  operation_type: z.string(),
  cvm: z.looseObject({
    object_type: z.literal("cvm"),
    id: z.string(),
    name: z.string(),
    app_id: z.string(),
    vm_uuid: z.string(),
  }),
});

/** `GET /apps/{app}/revisions`, newest first. */
export const revisionListSchema = z.looseObject({
  revisions: z.array(revisionSchema),
  total: z.number().int(),
  page: z.number().int(),
  page_size: z.number().int(),
  total_pages: z.number().int(),
});

/** `GET /apps/{app}/revisions/{rid}`: the document as an object, or as its exact text with `raw_compose_file=true`. */
export const revisionDetailSchema = revisionSchema.extend({
  compose_file: z.union([z.record(z.string(), z.unknown()), z.string()]),
  encrypted_env: z.string(),
  user_config: z.string(),
});

export type Revision = z.infer<typeof revisionSchema>;
export type RevisionDetail = z.infer<typeof revisionDetailSchema>;

/**
 * `PATCH /cvms/{id}/resources`. Clients send floats for whole numbers, 1 and 0 for flags, and further keys of their
 * own.
 */
export const patchResourcesRequestSchema = z.looseObject({
  vcpu: z.number().nullish(),
  memory: z.number().nullish(),
  disk_size: z.number().nullish(),
  instance_type: z.string().nullish(),
  allow_restart: flagSchema.nullish(),
});

/** `PATCH /cvms/{id}/os-image`. */
export const patchOsImageRequestSchema = z.looseObject({ os_image_name: z.string().min(1) });

/** `PATCH /cvms/{id}/listed`. Only lists show this flag, so the CVM does not restart. */
export const patchListedRequestSchema = z.looseObject({ listed: flagSchema });

export const listedSchema = z.looseObject({ vm_uuid: z.string(), listed: z.boolean() });

/** `GET /cvms/{id}/pre-launch-script/upgrade-status`. Hashes are SHA-256 of the script, hex without `0x`. */
export const scriptUpgradeStatusSchema = z.looseObject({
  current_hash: z.string().nullable(),
  latest_official_hash: z.string(),
  is_official: z.boolean(),
  is_latest: z.boolean(),
  /** The script is official, but not the latest one. */
  can_upgrade: z.boolean(),
});

/** `POST /apps/{app}/revisions/{rid}/redeploy`, both phases. Without `vm_uuids`, all CVMs of the app. */
export const redeployRevisionRequestSchema = z.looseObject({
  vm_uuids: z.array(z.string()).nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

export const redeployedRevisionSchema = z.looseObject({
  message: z.string(),
  status: z.enum(["in_progress", "no_change"]),
  /** The operation of each CVM that did not run the revision yet. */
  operations: z.array(z.object({ vm_uuid: z.string(), correlation_id: z.string() })),
});

/** `PATCH /cvms/{id}/visibility`, both phases. */
export const patchVisibilityRequestSchema = z.looseObject({
  public_sysinfo: z.boolean().nullish(),
  public_logs: z.boolean().nullish(),
  public_tcbinfo: z.boolean().nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

/** The CVM in its oldest shape at every version, with its new flags. */
export const visibilitySchema = cvmDetail20251028Schema.extend({
  public_sysinfo: z.boolean(),
  public_logs: z.boolean(),
  public_tcbinfo: z.boolean(),
});

const osImageVariantSchema = z.object({
  name: z.string(),
  os_image_hash: z.string().nullable(),
  is_current: z.boolean(),
});

/** `GET /cvms/{id}/available-os-images`, newest version first. */
export const availableOsImagesSchema = z.array(
  z.object({
    version: z.array(z.number()).min(3).max(4),
    prod: osImageVariantSchema.nullable(),
    dev: osImageVariantSchema.nullable(),
  }),
);

/** `GET /cvms/{id}/user_config`. */
export const userConfigSchema = z.looseObject({
  hostname: z.string().nullable(),
  default_gateway_domain: z.string().nullable(),
  ssh_authorized_keys: z.array(z.string()),
});

export type PatchResourcesRequest = z.infer<typeof patchResourcesRequestSchema>;
export type PatchVisibilityRequest = z.infer<typeof patchVisibilityRequestSchema>;
export type AvailableOsImages = z.infer<typeof availableOsImagesSchema>;
export type UserConfig = z.infer<typeof userConfigSchema>;
