import { z } from "zod";

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
