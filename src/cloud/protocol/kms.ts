import { z } from "zod";

/**
 * A KMS as every answer embeds it. `chain_id` and `kms_contract_address` are null for a KMS that keeps its
 * policy off chain. All seven keys are always there; a `chain` object in viem's form may follow.
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

/** `GET /kms/{kms}/pubkey/{app}`. Hex without `0x`; the signature is 65 bytes, r ‖ s ‖ recovery id. */
export const appPublicKeySchema = z.object({ public_key: z.string(), signature: z.string() });

/** Words that name a KMS by where its policy lives. */
export const kmsTypeSchema = z.enum(["phala", "ethereum", "base", "legacy"]);

export type KmsInfo = z.infer<typeof kmsInfoSchema>;
export type KmsList = z.infer<typeof kmsListSchema>;
export type AppPublicKey = z.infer<typeof appPublicKeySchema>;
export type KmsType = z.infer<typeof kmsTypeSchema>;
