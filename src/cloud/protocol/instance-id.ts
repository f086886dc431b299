import { z } from "zod";
import { flagSchema } from "./flag.ts";

/** `PATCH /cvms/{id}/instance-id`. */
export const refreshInstanceIdRequestSchema = z.looseObject({
  overwrite: flagSchema.nullish(),
  dry_run: flagSchema.nullish(),
});

/** `PATCH /cvms/instance-ids`. */
export const refreshInstanceIdsRequestSchema = refreshInstanceIdRequestSchema.extend({
  cvm_ids: z.array(z.string()).nullish(),
  running_only: flagSchema.nullish(),
  missing_only: flagSchema.nullish(),
  limit: z.number().int().min(1).max(500).nullish(),
});

export const instanceIdRefreshSchema = z.looseObject({
  cvm_id: z.union([z.number().int(), z.string()]),
  identifier: z.string(),
  status: z.enum(["updated", "unchanged", "skipped", "conflict", "error"]),
  source: z.enum(["teepod_state", "teepod_info", "gateway", "none"]),
  verified_with_gateway: z.boolean(),
  old_instance_id: z.string().nullable(),
  new_instance_id: z.string().nullable(),
  reason: z.string().nullable(),
});

export const instanceIdRefreshesSchema = z.looseObject({
  total: z.number().int(),
  scanned: z.number().int(),
  updated: z.number().int(),
  unchanged: z.number().int(),
  skipped: z.number().int(),
  conflicts: z.number().int(),
  errors: z.number().int(),
  items: z.array(instanceIdRefreshSchema),
});

export type InstanceIdRefresh = z.infer<typeof instanceIdRefreshSchema>;
