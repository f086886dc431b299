import { z } from "zod";

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

/** Refusals of the token endpoint, 400; the words are those of RFC 8628. */
export const deviceTokenErrorSchema = z.looseObject({
  detail: z.looseObject({ error: z.string(), error_description: z.string() }),
});

export type DeviceCode = z.infer<typeof deviceCodeSchema>;
