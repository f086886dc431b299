import { z } from "zod";
import { kmsInfoSchema, kmsTypeSchema } from "./kms.ts";

const endpointSchema = z.looseObject({ app: z.string(), instance: z.string() });

/** `GET /cvms/{id}` at 2025-10-28: flat, with a numeric id. `memory` in MB, `disk_size` in GB. */
export const cvmDetail20251028Schema = z.looseObject({
  id: z.number().int(),
  name: z.string(),
  status: z.string(),
  in_progress: z.boolean().optional(),
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

/** A machine as answers of 2026-01-21 and later embed it. `device_id` is 64 hex digits without `0x`. */
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

/** `GET /cvms/{id}/state`. A key without a value is left out, never null. */
export const cvmStateSchema = z.looseObject({
  name: z.string(),
  status: z.string(),
  instance_id: z.string().optional(),
  uptime: z.string().optional(),
  exited_at: z.string().optional(),
  boot_progress: z.string().optional(),
  /** Why the last update did not boot; the CVM then runs its previous compose. Gone once another update starts. */
  boot_error: z.string().optional(),
  shutdown_progress: z.string().optional(),
});

export type CvmDetail20251028 = z.infer<typeof cvmDetail20251028Schema>;
export type CvmDetail20260121 = z.infer<typeof cvmDetail20260121Schema>;
export type CvmState = z.infer<typeof cvmStateSchema>;
export type NodeRef = z.infer<typeof nodeRefSchema>;
