import { z } from "zod";
import { composeFileSchema } from "./compose-file.ts";
import { kmsInfoSchema } from "./kms.ts";
import { sizeSchema } from "./size.ts";

/** `POST /cvms/provision`: reserves a place and computes the compose hash of a CVM to be. */
export const provisionCvmRequestSchema = z.looseObject({
  name: z.string(),
  compose_file: composeFileSchema,
  /** Where the policy lives: `PHALA` (off chain), `BASE` or `ETHEREUM`. */
  kms: z.string().nullish(),
  kms_type: z.string().nullish(),
  kms_id: z.string().nullish(),
  kms_contract: z.string().nullish(),
  teepod_id: z.number().int().nullish(),
  node_id: z.number().int().nullish(),
  /** Any node of it. */
  region: z.string().nullish(),
  prefer_dev: z.boolean().nullish(),
  image: z.string().nullish(),
  instance_type: z.string().nullish(),
  vcpu: sizeSchema.nullish(),
  memory: sizeSchema.nullish(),
  disk_size: sizeSchema.nullish(),
  listed: z.boolean().nullish(),
  env_keys: z.array(z.string()).nullish(),
  /** An app id of the caller's choice; on an off-chain KMS the one that `nonce` leads to. */
  app_id: z.string().nullish(),
  custom_app_id: z.string().nullish(),
  nonce: z.number().int().min(0).nullish(),
});

/**
 * On an on-chain KMS `app_id` is null and the caller deploys the app's contract; off chain the cloud
 * assigns `app_id` and its `app_env_encrypt_pubkey`.
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

/** A CVM as actions answer it: flat, at every version. `memory` in MB, `disk_size` in GB. */
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
