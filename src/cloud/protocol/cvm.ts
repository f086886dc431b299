import { z } from "zod";
import { flagSchema, pageSchema } from "./common.ts";
import { kmsInfoSchema, kmsTypeSchema } from "./kms.ts";

const endpointSchema = z.looseObject({ app: z.string(), instance: z.string() });

/**
 * Why the status is `awaiting_finality`: the update begins when the tag reaches the registration. The vendor's format is
 * not published, so the status, this object and its field names are this project's.
 */
export const finalitySchema = z.looseObject({
  awaited_tag: z.enum(["safe", "finalized"]),
  compose_hash: z.string(),
  transaction_hash: z.string().nullable(),
  since: z.string(),
});

/** `GET /cvms/{id}` at 2025-10-28: flat, with a numeric id. `memory` in MB, `disk_size` in GB. */
export const cvmDetail20251028Schema = z.looseObject({
  id: z.number().int(),
  name: z.string(),
  status: z.string(),
  in_progress: z.boolean().optional(),
  finality: finalitySchema.optional(),
  teepod_id: z.number().int().nullable(),
  teepod: z.looseObject({ id: z.number().int(), name: z.string(), region_identifier: z.string().nullish() }).nullish(),
  app_id: z.string(),
  vm_uuid: z.string().nullable(),
  instance_id: z.string().nullable(),
  vcpu: z.number(),
  memory: z.number(),
  disk_size: z.number(),
  base_image: z.string().nullable(),
  encrypted_env_pubkey: z.string().nullable(),
  kms_info: kmsInfoSchema.nullish(),
  contract_address: z.string().nullish(),
  deployer_address: z.string().nullish(),
  instance_type: z.string().nullish(),
  listed: z.boolean().optional(),
  public_sysinfo: z.boolean().optional(),
  public_logs: z.boolean().optional(),
  gateway_domain: z.string().nullish(),
  public_urls: z.array(endpointSchema).optional(),
  updated_at: z.string().nullish(),
});

/** A machine as part of answers, from 2026-01-21 on. `device_id` is 64 hex digits without `0x`. */
export const nodeRefSchema = z.looseObject({
  object_type: z.literal("node"),
  id: z.number().int().nullish(),
  name: z.string().nullish(),
  region: z.string().nullish(),
  device_id: z.string().nullish(),
  status: z.string().nullish(),
  version: z.string().nullish(),
});

/** `GET /cvms/{id}` from 2026-01-21 on: nested, with a string id. `progress` is null unless an operation runs. */
export const cvmDetail20260121Schema = z.looseObject({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  app_id: z.string().nullish(),
  vm_uuid: z.string().nullish(),
  instance_id: z.string().nullish(),
  compose_hash: z.string().nullish(),
  compose_file: z.union([z.record(z.string(), z.unknown()), z.string()]).nullish(),
  in_progress: z.boolean().optional(),
  finality: finalitySchema.optional(),
  resource: z.looseObject({
    instance_type: z.string().nullish(),
    vcpu: z.number().int().nullish(),
    memory_in_gb: z.number().nullish(),
    disk_in_gb: z.number().int().nullish(),
    gpus: z.number().int().nullish(),
  }),
  node_info: nodeRefSchema.nullish(),
  os: z
    .looseObject({
      name: z.string().nullish(),
      version: z.string().nullish(),
      is_dev: z.boolean().nullish(),
      os_image_hash: z.string().nullish(),
    })
    .nullish(),
  kms_type: kmsTypeSchema.nullish(),
  kms_info: z
    .looseObject({
      chain_id: z.number().int().nullish(),
      dstack_kms_address: z.string().nullish(),
      dstack_app_address: z.string().nullish(),
      deployer_address: z.string().nullish(),
      rpc_endpoint: z.string().nullish(),
      encrypted_env_pubkey: z.string().nullish(),
    })
    .nullish(),
  progress: z
    .looseObject({
      target: z.string().nullish(),
      started_at: z.string().nullish(),
      correlation_id: z.string().nullish(),
    })
    .nullish(),
  gateway: z.looseObject({ base_domain: z.string().nullish(), cname: z.string().nullish() }),
  endpoints: z.array(endpointSchema).nullish(),
  public_logs: z.boolean().optional(),
  public_sysinfo: z.boolean().optional(),
  public_tcbinfo: z.boolean().optional(),
  listed: z.boolean().optional(),
  workspace: z
    .looseObject({ object_type: z.literal("workspace"), id: z.string(), name: z.string(), slug: z.string().nullish() })
    .nullish(),
});

/** `GET /cvms/{id}/state`. Keys without a value are absent, never null. */
export const cvmStateSchema = z.looseObject({
  name: z.string(),
  status: z.string(),
  finality: finalitySchema.optional(),
  instance_id: z.string().optional(),
  uptime: z.string().optional(),
  exited_at: z.string().optional(),
  boot_progress: z.string().optional(),
  /** Why the last update did not boot. The CVM then runs its previous compose. Removed when another update starts. */
  boot_error: z.string().optional(),
  shutdown_progress: z.string().optional(),
});

export type CvmDetail20251028 = z.infer<typeof cvmDetail20251028Schema>;
export type CvmDetail20260121 = z.infer<typeof cvmDetail20260121Schema>;
export type CvmState = z.infer<typeof cvmStateSchema>;
export type NodeRef = z.infer<typeof nodeRefSchema>;

/** A CVM in lists at 2025-10-28. `memory` in MB, `disk_size` in GB. */
export const cvmInfo20251028Schema = z.looseObject({
  hosted: z.looseObject({
    id: z.string(),
    name: z.string(),
    status: z.string(),
    uptime: z.string(),
    app_url: z.string().nullable(),
    app_id: z.string(),
    instance_id: z.string().nullable(),
    exited_at: z.string().nullable(),
    boot_progress: z.string().nullable(),
    boot_error: z.string().nullable(),
    shutdown_progress: z.string().nullable(),
    image_version: z.string().nullable(),
  }),
  name: z.string(),
  managed_user: z.looseObject({ id: z.number().int(), username: z.string() }).nullable(),
  node: z.looseObject({ id: z.number().int(), name: z.string(), region_identifier: z.string().nullish() }).nullable(),
  listed: z.boolean(),
  status: z.string(),
  in_progress: z.boolean(),
  dapp_dashboard_url: z.string().nullable(),
  syslog_endpoint: z.string().nullable(),
  allow_upgrade: z.boolean(),
  project_id: z.string().nullable(),
  project_type: z.string().nullable(),
  billing_period: z.string().nullable(),
  kms_info: kmsInfoSchema.nullable(),
  vcpu: z.number().nullable(),
  memory: z.number().nullable(),
  disk_size: z.number().nullable(),
  gateway_domain: z.string().nullable(),
  public_urls: z.array(z.looseObject({ app: z.string(), instance: z.string() })),
  updated_at: z.string().nullish(),
});

/** A CVM in lists from 2026-01-21 on: its detail without the document. */
export const cvmInfo20260121Schema = cvmDetail20260121Schema.omit({ compose_file: true });

/** `GET /apps/{app}/cvms` from 2026-01-21 on. */
export const cvmInfoListSchema = z.array(cvmInfo20260121Schema);

/** `GET /cvms/paginated`. */
export const cvmPage20251028Schema = pageSchema(cvmInfo20251028Schema);
export const cvmPage20260121Schema = pageSchema(cvmInfo20260121Schema);

/** `POST /status/batch`. UUIDs may have any notation; the answer repeats them as they were sent. */
export const statusBatchRequestSchema = z.looseObject({ vm_uuids: z.array(z.string()).max(100) });

/** Leaves out UUIDs that do not exist in the workspace. */
export const statusBatchSchema = z.record(
  z.string(),
  z.looseObject({
    vm_uuid: z.string(),
    status: z.string(),
    in_progress: z.boolean(),
    uptime: z.string().nullable(),
    boot_progress: z.string().nullable(),
    boot_error: z.string().nullable(),
    operation_type: z.string().nullable(),
    operation_started_at: z.string().nullable(),
    correlation_id: z.string().nullable(),
  }),
);

export type CvmInfo20251028 = z.infer<typeof cvmInfo20251028Schema>;
export type CvmInfo20260121 = z.infer<typeof cvmInfo20260121Schema>;
export type StatusBatch = z.infer<typeof statusBatchSchema>;

/** `POST /cvms/{id}/restart`. */
export const restartCvmRequestSchema = z.looseObject({ force: flagSchema.nullish() });

export type RestartCvmRequest = z.infer<typeof restartCvmRequestSchema>;
