import { z } from "zod";

/** What a webhook can be told of. `webhook.test` needs no subscription. */
export const webhookEvents = [
  "cvm.created",
  "cvm.started",
  "cvm.create_failed",
  "cvm.restarted",
  "cvm.updated",
  "cvm.stopped",
  "cvm.deleted",
  "cvm.update.pending_approval",
] as const;

export type WebhookEvent = (typeof webhookEvents)[number] | "webhook.test";

const targetSchema = z
  .url({ protocol: /^https?$/ })
  .max(2048)
  .refine((url) => !/^[^/?#]*\/\/[^/?#]*@/.test(url), "Credentials do not belong in a URL.");

/** The test event may be named like the others, and comes anyway. */
const eventsSchema = z.array(z.enum([...webhookEvents, "webhook.test"])).min(1);

export const webhookRequestSchema = z.object({
  url: targetSchema,
  events: eventsSchema,
  enabled: z.boolean().default(true),
});

/** What is left out stays as it is. */
export const webhookChangeSchema = z.object({
  url: targetSchema.optional(),
  events: eventsSchema.optional(),
  enabled: z.boolean().optional(),
});

export const webhookSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  enabled: z.boolean(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const webhookListSchema = z.object({ items: z.array(webhookSchema), total: z.number().int() });

export const webhookSecretSchema = z.object({ id: z.string(), secret: z.string() });

/** Only the answer to its creation shows a webhook's secret. */
export const createdWebhookSchema = webhookSchema.extend({ secret: z.string() });

export const webhookDeliverySchema = z.object({
  event_id: z.string(),
  event: z.string(),
  /** Of the event that this one sends again. */
  original_event_id: z.string().optional(),
  status: z.enum(["pending", "delivered", "failed"]),
  attempts: z.number().int(),
  /** Of the last attempt, as `error`, which says why there was no answer. */
  response_status: z.number().int().nullable(),
  /** The real service keeps up to 4 KB here. The mock keeps none: its targets may be services of the same machine. */
  response_body: z.string().nullable(),
  error: z.string().nullable(),
  created_at: z.string(),
  attempted_at: z.string().nullable(),
  next_attempt_at: z.string().nullable(),
});

export const webhookDeliveryListSchema = z.object({
  items: z.array(webhookDeliverySchema),
  total: z.number().int(),
});
