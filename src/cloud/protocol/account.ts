import { z } from "zod";

/** Events that a webhook can subscribe to. `webhook.test` needs no subscription. */
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

/** A request may list the test event too, but the webhook receives it in any case. */
const eventsSchema = z.array(z.enum([...webhookEvents, "webhook.test"])).min(1);

export const webhookRequestSchema = z.object({
  url: targetSchema,
  events: eventsSchema,
  enabled: z.boolean().default(true),
});

/** Absent fields keep their current value. */
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

/** The API shows a webhook's secret only in the answer to its creation. */
export const createdWebhookSchema = webhookSchema.extend({ secret: z.string() });

export const webhookDeliverySchema = z.object({
  event_id: z.string(),
  event: z.string(),
  /** Id of the event that this delivery repeats. */
  original_event_id: z.string().optional(),
  status: z.enum(["pending", "delivered", "failed"]),
  attempts: z.number().int(),
  /** Status of the last attempt. `error` says why that attempt got no answer. */
  response_status: z.number().int().nullable(),
  /**
   * The real service stores up to 4 KB here. The mock stores nothing, because its targets may be services of the same
   * machine.
   */
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

/** `GET /auth/me` at 2025-10-28. */
export const currentUser20251028Schema = z.looseObject({
  username: z.string(),
  email: z.string(),
  credits: z.number(),
  granted_credits: z.number(),
  avatar: z.string(),
  team_name: z.string(),
  team_tier: z.string(),
});

/** `GET /auth/me` from 2026-01-21 on. */
export const currentUser20260121Schema = z.looseObject({
  user: z.looseObject({
    username: z.string(),
    email: z.string(),
    role: z.enum(["admin", "user"]),
    avatar: z.string(),
    email_verified: z.boolean(),
    totp_enabled: z.boolean(),
    has_backup_codes: z.boolean(),
    flag_has_password: z.boolean(),
  }),
  workspace: z.looseObject({
    id: z.string(),
    name: z.string(),
    slug: z.string().nullable(),
    tier: z.string(),
    role: z.string(),
  }),
  credits: z.looseObject({
    balance: z.union([z.string(), z.number()]),
    granted_balance: z.union([z.string(), z.number()]),
    is_post_paid: z.boolean(),
    outstanding_amount: z.union([z.string(), z.number()]).nullable(),
  }),
});

export type CurrentUser20251028 = z.infer<typeof currentUser20251028Schema>;
export type CurrentUser20260121 = z.infer<typeof currentUser20260121Schema>;

/** `POST /auth/device/code`, without a key: starts the login of a device (RFC 8628). */
export const deviceCodeRequestSchema = z.looseObject({ client_id: z.string(), scope: z.string().nullish() });

/** Times in seconds. */
export const deviceCodeSchema = z.looseObject({
  device_code: z.string(),
  user_code: z.string(),
  verification_uri: z.string(),
  verification_uri_complete: z.string(),
  expires_in: z.number().int(),
  interval: z.number().int(),
});

/** `POST /auth/device/token`, without a key: asks whether the login was approved. */
export const deviceTokenRequestSchema = z.looseObject({
  device_code: z.string(),
  grant_type: z.literal("urn:ietf:params:oauth:grant-type:device_code"),
});

/** The token is an API key. */
export const deviceTokenSchema = z.looseObject({ access_token: z.string(), token_type: z.literal("bearer") });

/** Refusals of the token endpoint (400), with the error codes of RFC 8628. */
export const deviceTokenErrorSchema = z.looseObject({
  detail: z.looseObject({ error: z.string(), error_description: z.string() }),
});

export type DeviceCode = z.infer<typeof deviceCodeSchema>;

/** `public_key` is one line as in `authorized_keys`. */
export const createSshKeyRequestSchema = z.looseObject({
  name: z.string().min(1).max(200),
  public_key: z.string().min(1).max(16_384),
});

export const sshKeySchema = z.looseObject({
  id: z.string(),
  user_id: z.string(),
  name: z.string(),
  public_key: z.string(),
  /** `SHA256:` and unpadded base64, as ssh-keygen prints it. */
  fingerprint: z.string(),
  key_type: z.string(),
  /** `manual`, or the source of the import. */
  source: z.string(),
  key_metadata: z.record(z.string(), z.unknown()).nullish(),
  last_synced_at: z.string().nullish(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const importGithubProfileRequestSchema = z.looseObject({ github_username: z.string().min(1) });

export const importGithubProfileSchema = z.looseObject({
  github_username: z.string(),
  keys_added: z.number().int(),
  keys_skipped: z.number().int(),
  errors: z.array(z.string()),
});

export const syncGithubKeysSchema = z.looseObject({
  synced_count: z.number().int(),
  keys_added: z.number().int(),
  keys_updated: z.number().int(),
  keys_removed: z.number().int(),
  errors: z.array(z.string()),
});

export type SshKeyAnswer = z.infer<typeof sshKeySchema>;

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
