import { z } from "zod";
import { pageSchema, sizeSchema } from "./common.ts";
import { composeFileSchema } from "./compose-file.ts";
import { nodeRefSchema } from "./cvm.ts";
import { kmsInfoSchema } from "./kms.ts";

/** A machine and its free resources. `remaining_memory` in MB; `device_id` is 64 hex digits without `0x`. */
export const nodeCapacitySchema = z.looseObject({
  teepod_id: z.number().int(),
  name: z.string(),
  listed: z.boolean(),
  /** Fraction of the CVM slots that is free. */
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
  /** Slugs of KMSs. */
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
  /** Names of OS images. */
  supported_os_images: z.array(z.string()),
};

/** `GET /teepods/cvm-create-resources`: the resources for a new CVM, and which of them can be combined. */
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

export const instanceTypeSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  vcpu: z.number().int(),
  memory_mb: z.number().int(),
  /** Dollars per hour, as text. */
  hourly_rate: z.string(),
  requires_gpu: z.boolean(),
  default_disk_size_gb: z.number().int(),
  family: z.string().nullable(),
});

/** `GET /instance-types`. Clients reject any further key. */
export const instanceTypeFamiliesSchema = z.object({
  result: z.array(z.object({ name: z.string(), items: z.array(instanceTypeSchema), total: z.number().int() })),
});

/** `GET /instance-types/{family}`. Clients reject any further key. */
export const instanceTypeFamilySchema = z.object({
  items: z.array(instanceTypeSchema),
  total: z.number().int(),
  family: z.string(),
});

/** `GET /os-images`. */
export const osImagePageSchema = pageSchema(
  z.looseObject({
    name: z.string(),
    slug: z.string(),
    version: z.string(),
    os_image_hash: z.string().nullable(),
    is_dev: z.boolean(),
    requires_gpu: z.boolean(),
  }),
);

export type InstanceTypeAnswer = z.infer<typeof instanceTypeSchema>;

/** `POST /cvms/provision`: reserves resources for a new CVM and computes its compose hash. */
export const provisionCvmRequestSchema = z.looseObject({
  name: z.string(),
  compose_file: composeFileSchema,
  /** Where the policy is stored: `PHALA` (off chain), `BASE` or `ETHEREUM`. */
  kms: z.string().nullish(),
  kms_type: z.string().nullish(),
  kms_id: z.string().nullish(),
  kms_contract: z.string().nullish(),
  teepod_id: z.number().int().nullish(),
  node_id: z.number().int().nullish(),
  /** Allows any node of this region. */
  region: z.string().nullish(),
  prefer_dev: z.boolean().nullish(),
  image: z.string().nullish(),
  instance_type: z.string().nullish(),
  vcpu: sizeSchema.nullish(),
  memory: sizeSchema.nullish(),
  disk_size: sizeSchema.nullish(),
  listed: z.boolean().nullish(),
  env_keys: z.array(z.string()).nullish(),
  /** An app id that the caller chooses. On an off-chain KMS it must be the one that belongs to `nonce`. */
  app_id: z.string().nullish(),
  custom_app_id: z.string().nullish(),
  nonce: z.number().int().min(0).nullish(),
});

/**
 * On chain, `app_id` is null and the caller deploys the app's contract. Off chain, the cloud assigns `app_id` and its
 * `app_env_encrypt_pubkey`.
 */
export const provisionCvmSchema = z.looseObject({
  compose_hash: z.string(),
  app_id: z.string().nullish(),
  app_env_encrypt_pubkey: z.string().nullish(),
  kms_info: kmsInfoSchema.nullish(),
  kms_id: z.string().nullish(),
  device_id: z.string().nullish(),
  os_image_hash: z.string().nullish(),
  fmspc: z.string().nullish(),
  instance_type: z.string().nullish(),
  teepod_id: z.number().int().nullish(),
  node_id: z.number().int().nullish(),
});

/** `POST /cvms`: creates the provisioned CVM. */
export const createCvmRequestSchema = z.looseObject({
  app_id: z.string(),
  compose_hash: z.string(),
  encrypted_env: z.string().nullish(),
  env_keys: z.array(z.string()).nullish(),
  kms_id: z.string().nullish(),
  contract_address: z.string().nullish(),
  deployer_address: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

/** A CVM as returned by actions: flat, at every version. `memory` in MB, `disk_size` in GB. */
export const vmSchema = z.looseObject({
  id: z.union([z.number().int(), z.string()]),
  name: z.string(),
  status: z.string(),
  teepod_id: z.number().int(),
  teepod: z.looseObject({ id: z.number().int(), name: z.string() }).nullable(),
  user_id: z.number().int().nullable(),
  app_id: z.string().nullable(),
  vm_uuid: z.string().nullable(),
  instance_id: z.string().nullable(),
  base_image: z.string().nullable(),
  docker_compose_file: z.string().nullable(),
  vcpu: z.number(),
  memory: z.number(),
  disk_size: z.number(),
  created_at: z.string(),
  encrypted_env_pubkey: z.string().nullish(),
  app_auth_contract_address: z.string().nullish(),
  deployer_address: z.string().nullish(),
});

export type ProvisionCvmRequest = z.infer<typeof provisionCvmRequestSchema>;
export type ProvisionCvm = z.infer<typeof provisionCvmSchema>;
export type CreateCvmRequest = z.infer<typeof createCvmRequestSchema>;
export type Vm = z.infer<typeof vmSchema>;
