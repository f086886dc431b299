import { z } from "zod";
import { nodeRefSchema } from "./cvm.ts";
import { kmsInfoSchema } from "./kms.ts";
import { pageSchema } from "./page.ts";

/** A machine with what is left on it. `remaining_memory` in MB, `device_id` 64 hex digits without `0x`. */
export const nodeCapacitySchema = z.looseObject({
  teepod_id: z.number().int(),
  name: z.string(),
  listed: z.boolean(),
  /** Share of the CVM slots that is free. */
  resource_score: z.number(),
  remaining_vcpu: z.number(),
  remaining_memory: z.number(),
  remaining_cvm_slots: z.number(),
  images: z.array(
    z.looseObject({
      name: z.string(),
      is_dev: z.boolean(),
      version: z.array(z.number()).min(3).max(4),
      os_image_hash: z.string().nullish(),
    }),
  ),
  support_onchain_kms: z.boolean().optional(),
  fmspc: z.string().nullish(),
  device_id: z.string().nullish(),
  region_identifier: z.string().nullish(),
  default_kms: z.string().nullish(),
  /** Slugs. */
  kms_list: z.array(z.string()),
});

const capacitySchema = z.looseObject({
  max_instances: z.number().nullish(),
  max_vcpu: z.number().nullish(),
  max_memory: z.number().nullish(),
  max_disk: z.number().nullish(),
});

/** `GET /teepods/available`. */
export const availableNodesSchema = z.looseObject({
  tier: z.string(),
  capacity: capacitySchema,
  nodes: z.array(nodeCapacitySchema),
  kms_list: z.array(kmsInfoSchema),
});

/** `GET /workspaces/{slug}/nodes`. */
export const workspaceNodesSchema = pageSchema(nodeRefSchema);

const kmsReference = {
  kms_type: z.string(),
  kms_contract_id: z.string().nullish(),
  kms_contract_address: z.string().nullish(),
  /** Names. */
  supported_os_images: z.array(z.string()),
};

/** `GET /teepods/cvm-create-resources`: what a new CVM can be made of, and what goes together. */
export const cvmCreateResourcesSchema = z.looseObject({
  tier: z.string(),
  capacity: capacitySchema,
  nodes: z.array(nodeCapacitySchema),
  kms_nodes: z.array(
    z.looseObject({
      id: z.string(),
      slug: z.string().nullish(),
      url: z.string(),
      version: z.string().nullish(),
      chain_id: z.number().int().nullish(),
      gateway_app_id: z.string().nullish(),
      ...kmsReference,
    }),
  ),
  node_kms_relations: z.array(z.looseObject({ teepod_id: z.number().int(), kms_id: z.string(), ...kmsReference })),
  gateway_nodes: z.array(
    z.looseObject({
      id: z.string(),
      teepod_id: z.number().int().nullish(),
      kms_contract_id: z.string(),
      enabled: z.boolean(),
    }),
  ),
  instance_types: z.array(
    z.looseObject({
      id: z.string(),
      name: z.string(),
      vcpu: z.number().int(),
      memory_mb: z.number().int(),
      default_disk_size_gb: z.number().int(),
      requires_gpu: z.boolean(),
      requires_gpu_count: z.number().int(),
      family: z.string().nullish(),
      display_order: z.number().int().nullish(),
    }),
  ),
  gpu_availability: z.looseObject({
    has_reserved_gpus: z.boolean(),
    reserved_gpu_count: z.number().int(),
    has_public_gpus: z.boolean(),
    public_gpu_count: z.number().int(),
  }),
});

export type NodeCapacity = z.infer<typeof nodeCapacitySchema>;
export type AvailableNodes = z.infer<typeof availableNodesSchema>;
export type CvmCreateResources = z.infer<typeof cvmCreateResourcesSchema>;
