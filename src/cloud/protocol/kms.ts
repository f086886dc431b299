import { z } from "zod";

/**
 * A KMS as part of other answers. `chain_id` and `kms_contract_address` are null for a KMS that keeps its policy off
 * chain. All seven keys are always present. A `chain` object in viem's form may follow.
 */
export const kmsInfoSchema = z.looseObject({
  id: z.string(),
  slug: z.string().nullable(),
  url: z.string(),
  version: z.string(),
  chain_id: z.number().int().nullable(),
  kms_contract_address: z.string().nullable(),
  gateway_app_id: z.string().nullable(),
});

export const kmsListSchema = z.object({
  items: z.array(kmsInfoSchema),
  total: z.number().int(),
  page: z.number().int(),
  page_size: z.number().int(),
  pages: z.number().int(),
});

/**
 * `GET /kms/{kms}` from 2026-06-23 on: one entry for all KMS nodes that share a contract and a root key. Off chain, the
 * address is the word `phala` and the chain id is 0.
 */
export const kmsContractSchema = z.object({
  id: z.string(),
  slug: z.string().nullable(),
  label: z.string().nullable(),
  contract_address: z.string(),
  chain_id: z.number().int(),
  k256_pubkey: z.string().nullable(),
  ca_pubkey: z.string().nullable(),
  node_count: z.number().int(),
});

/** `GET /kms` from 2026-06-23 on. */
export const kmsContractListSchema = kmsListSchema.extend({ items: z.array(kmsContractSchema) });

/** `GET /kms/{slug}/nodes`, from 2026-06-23 on: the nodes that share a contract. */
export const kmsContractNodesSchema = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      slug: z.string().nullable(),
      url: z.string(),
      version: z.string(),
      kms_type: z.string(),
    }),
  ),
  total: z.number().int(),
});

/** `GET /kms/on-chain/{chain}`: what the KMS contracts of a chain allow. `null` if the chain could not be read. */
export const kmsOnChainDetailSchema = z.looseObject({
  chain_name: z.string(),
  chain_id: z.number().int(),
  contracts: z.array(
    z.looseObject({
      contract_address: z.string(),
      chain_id: z.number().int(),
      chain_name: z.string(),
      devices: z.array(
        z.looseObject({
          device_id: z.string(),
          node_name: z.string().nullish(),
          on_chain_allowed: z.boolean().nullable(),
        }),
      ),
      os_images: z.array(
        z.looseObject({
          name: z.string(),
          version: z.string(),
          os_image_hash: z.string().nullable(),
          on_chain_allowed: z.boolean().nullable(),
        }),
      ),
    }),
  ),
});

/** `GET /kms/phala/next_app_id`: free app ids, each with the nonce to provision it with. */
export const nextAppIdsSchema = z.object({
  app_ids: z.array(z.object({ app_id: z.string(), nonce: z.number().int().min(0) })),
});

/** `GET /kms/{kms}/pubkey/{app}`. Hex without `0x`; the signature is 65 bytes, r ‖ s ‖ recovery id. */
export const appPublicKeySchema = z.object({ public_key: z.string(), signature: z.string() });

/**
 * The same answer from a KMS that also signs the time, in Unix seconds. The mock cloud never sends these fields,
 * because official clients reject an answer that has them.
 */
export const timestampedAppPublicKeySchema = appPublicKeySchema.extend({
  signature_v1: z.string().nullish(),
  timestamp: z.int().nonnegative().nullish(),
});

/** Kinds of KMS, named by where they store the policy. */
export const kmsTypeSchema = z.enum(["phala", "ethereum", "base", "legacy"]);

export type KmsInfo = z.infer<typeof kmsInfoSchema>;
export type KmsList = z.infer<typeof kmsListSchema>;
export type KmsContract = z.infer<typeof kmsContractSchema>;
export type KmsOnChainDetail = z.infer<typeof kmsOnChainDetailSchema>;
export type AppPublicKey = z.infer<typeof appPublicKeySchema>;
export type KmsType = z.infer<typeof kmsTypeSchema>;
