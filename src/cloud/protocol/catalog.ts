import { z } from "zod";
import { pageSchema } from "./page.ts";

export const instanceTypeSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  vcpu: z.number().int(),
  memory_mb: z.number().int(),
  /** Dollars, as text. */
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
