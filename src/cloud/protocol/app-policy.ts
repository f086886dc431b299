import { z } from "zod";

/** A CVM's number, or its hashid from 2026-05-22 on. */
const cvmIdSchema = z.union([z.number().int(), z.string()]);

/** `POST /cvms/{id}/is-allowed`. What is left out is the CVM's own. */
export const cvmIsAllowedRequestSchema = z.looseObject({
  compose_hash: z.string().nullish(),
  node_id: z.number().int().nullish(),
  device_id: z.string().nullish(),
});

/** `POST /apps/{app}/is-allowed`. */
export const appIsAllowedRequestSchema = cvmIsAllowedRequestSchema.extend({
  compose_hash: z.string(),
  chain_id: z.number().int().nullish(),
});

/** What the app's contract says of one document on one device. Hashes are hex without `0x`. */
export const isAllowedSchema = z.looseObject({
  cvm_id: cvmIdSchema.optional(),
  app_contract_address: z.string(),
  compose_hash: z.string(),
  device_id: z.string(),
  compose_hash_allowed: z.boolean(),
  allow_any_device: z.boolean(),
  /** By its own entry. */
  device_id_allowed: z.boolean().nullable(),
  is_allowed: z.boolean(),
  /** Why nothing is known; all verdicts are false then. */
  error: z.string().nullable(),
});

/** `POST /apps/{app}/cvms/is-allowed`. */
export const appCvmsAreAllowedSchema = z.looseObject({
  is_onchain: z.boolean(),
  results: z.array(isAllowedSchema),
  total: z.number().int(),
  allowed_count: z.number().int(),
  denied_count: z.number().int(),
  error_count: z.number().int(),
  skipped_cvm_ids: z.array(cvmIdSchema),
});

/** `GET /apps/{app}/device-allowlist`: every device of the cloud, and whether the app's contract lists it. */
export const deviceAllowlistSchema = z.looseObject({
  is_onchain_kms: z.boolean(),
  allow_any_device: z.boolean().nullable(),
  chain_id: z.number().int().nullable(),
  app_contract_address: z.string().nullable(),
  devices: z.array(
    z.looseObject({
      device_id: z.string(),
      node_name: z.string().nullable(),
      cvm_ids: z.array(cvmIdSchema),
      allowed_onchain: z.boolean(),
      status: z.string(),
    }),
  ),
});

export type IsAllowed = z.infer<typeof isAllowedSchema>;
export type AppCvmsAreAllowed = z.infer<typeof appCvmsAreAllowedSchema>;
export type DeviceAllowlist = z.infer<typeof deviceAllowlistSchema>;
