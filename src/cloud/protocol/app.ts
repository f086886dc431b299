import { z } from "zod";
import { cvmInfo20260121Schema } from "./cvm.ts";

/** A CVM of an app at 2025-10-28. `memory` in MB, `disk_size` in GB. */
export const cvmBasicInfoSchema = z.looseObject({
  vm_uuid: z.string().nullable(),
  app_id: z.string(),
  name: z.string(),
  status: z.string(),
  vcpu: z.number().int(),
  memory: z.number().int(),
  disk_size: z.number().int(),
  teepod_id: z.number().int(),
  teepod_name: z.string(),
  region_identifier: z.string().nullish(),
  kms_type: z.string().nullish(),
  kms_slug: z.string().nullish(),
  kms_id: z.string().nullish(),
  instance_type: z.string().nullish(),
  instance_id: z.string().nullish(),
  listed: z.boolean().nullish(),
  base_image: z.string().nullish(),
  updated_at: z.string().nullish(),
});

const appFields = {
  id: z.string(),
  name: z.string(),
  app_id: z.string(),
  app_provision_type: z.string().nullish(),
  app_icon_url: z.string().nullish(),
  created_at: z.string(),
  kms_type: z.string(),
  profile: z.looseObject({ display_name: z.string().nullish() }).nullish(),
  cvm_count: z.number().int(),
};

/** `GET /apps/{app}`: an app and its CVMs, oldest first; `current_cvm` is the newest. */
export const app20251028Schema = z.looseObject({
  ...appFields,
  current_cvm: cvmBasicInfoSchema.nullish(),
  cvms: z.array(cvmBasicInfoSchema),
});
export const app20260121Schema = z.looseObject({
  ...appFields,
  current_cvm: cvmInfo20260121Schema.nullish(),
  cvms: z.array(cvmInfo20260121Schema),
});

/** The fields of an app that every version has. */
export const appSummarySchema = z.looseObject({ name: z.string(), cvm_count: z.number().int() });

const listFields = {
  page: z.number().int(),
  page_size: z.number().int(),
  total: z.number().int(),
  total_pages: z.number().int(),
};

/** `GET /apps`. */
export const appList20251028Schema = z.looseObject({ dstack_apps: z.array(app20251028Schema), ...listFields });
export const appList20260121Schema = z.looseObject({ dstack_apps: z.array(app20260121Schema), ...listFields });

/** `GET /apps/filter-options`: the existing values that `GET /apps` can filter by. */
export const appFilterOptionsSchema = z.looseObject({
  statuses: z.array(z.string()),
  image_versions: z.array(z.string()),
  instance_types: z.array(z.string()),
  kms_slugs: z.array(z.string()),
  kms_types: z.array(z.string()),
  regions: z.array(z.string()),
  nodes: z.array(z.string()),
});

export type App20251028 = z.infer<typeof app20251028Schema>;
export type App20260121 = z.infer<typeof app20260121Schema>;
export type CvmBasicInfo = z.infer<typeof cvmBasicInfoSchema>;
export type AppFilterOptions = z.infer<typeof appFilterOptionsSchema>;

/** A CVM's number, or its hashid from 2026-05-22 on. */
const cvmIdSchema = z.union([z.number().int(), z.string()]);

/** `POST /cvms/{id}/is-allowed`. Absent fields default to the CVM's own values. */
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

/** What the app's contract answers for one document on one device. Hashes are hex without `0x`. */
export const isAllowedSchema = z.looseObject({
  cvm_id: cvmIdSchema.optional(),
  app_contract_address: z.string(),
  compose_hash: z.string(),
  device_id: z.string(),
  compose_hash_allowed: z.boolean(),
  allow_any_device: z.boolean(),
  /** Whether the device itself is listed. */
  device_id_allowed: z.boolean().nullable(),
  is_allowed: z.boolean(),
  /** Why the contract could not be read. All verdicts are then false. */
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
