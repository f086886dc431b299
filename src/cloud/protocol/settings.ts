import { z } from "zod";
import { cvmDetail20251028Schema } from "./cvm.ts";
import { flagSchema } from "./flag.ts";

/** `PATCH /cvms/{id}/resources`. Clients send floats for whole numbers, 1 and 0 for flags, and keys of their own. */
export const patchResourcesRequestSchema = z.looseObject({
  vcpu: z.number().nullish(),
  memory: z.number().nullish(),
  disk_size: z.number().nullish(),
  instance_type: z.string().nullish(),
  allow_restart: flagSchema.nullish(),
});

/** `PATCH /cvms/{id}/os-image`. */
export const patchOsImageRequestSchema = z.looseObject({ os_image_name: z.string().min(1) });

/** `PATCH /cvms/{id}/visibility`, both phases. */
export const patchVisibilityRequestSchema = z.looseObject({
  public_sysinfo: z.boolean().nullish(),
  public_logs: z.boolean().nullish(),
  public_tcbinfo: z.boolean().nullish(),
  compose_hash: z.string().nullish(),
  transaction_hash: z.string().nullish(),
});

/** The CVM in its oldest shape, whatever the version, with the flags it is to have. */
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
