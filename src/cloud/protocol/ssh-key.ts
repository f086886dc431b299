import { z } from "zod";

/** One line as in `authorized_keys`. */
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
  /** `manual`, or where it was imported from. */
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
