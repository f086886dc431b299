import { z } from "zod";

/** `GET /workspaces/{slug}`. */
export const workspaceSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  slug: z.string().nullable(),
  tier: z.string(),
  role: z.string(),
  is_default: z.boolean(),
  created_at: z.string(),
});

/** `GET /workspaces`. */
export const workspaceListSchema = z.looseObject({
  data: z.array(workspaceSchema),
  pagination: z.looseObject({
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
    total: z.number().int().nullable(),
  }),
});

const quotaSchema = z.looseObject({ limit: z.number(), remaining: z.number() });

/** `GET /workspaces/{slug}/quotas`. */
export const workspaceQuotasSchema = z.looseObject({
  team_slug: z.string(),
  tier: z.string(),
  quotas: z.looseObject({ vm_slots: quotaSchema, vcpu: quotaSchema, memory_mb: quotaSchema, disk_gb: quotaSchema }),
  reserved_nodes: quotaSchema,
  reserved_gpu: z.looseObject({ gpus: quotaSchema, in_use: z.number(), misconfigured: z.number() }),
  as_of: z.string(),
});

export type WorkspaceAnswer = z.infer<typeof workspaceSchema>;
export type WorkspaceQuotas = z.infer<typeof workspaceQuotasSchema>;
