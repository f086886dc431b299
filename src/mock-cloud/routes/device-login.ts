import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  deviceCodeRequestSchema,
  deviceCodeSchema,
  deviceTokenErrorSchema,
  deviceTokenRequestSchema,
  deviceTokenSchema,
} from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { ApiError } from "../errors.ts";
import type { Links } from "../links.ts";
import { finishDeviceLogin, startDeviceLogin } from "../services/device-login.ts";
import type { Store } from "../store/store.ts";
import { refusals, textAnswer } from "./schemas.ts";

export interface DeviceLoginRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly links: Links;
  readonly isOffered: boolean;
}

const { 401: _, ...publicRefusals } = refusals;

const explanations = {
  invalid_grant: "No login with this device code waits for its token.",
  expired_token: "The login took too long. Start it again.",
  access_denied: "No workspace has a user to log in.",
} as const;

/** How the CLI logs in (RFC 8628), without an API key. Every login is approved at once, so it has to be asked for. */
export const deviceLoginRoutes: FastifyPluginAsyncZod<DeviceLoginRoutesOptions> = async (app, options) => {
  const { store, clock, links, isOffered } = options;
  const tags = ["auth"];
  const security: [] = [];

  app.addHook("onRequest", async () => {
    if (isOffered) return;
    const message = "This mock cloud was started without device logins (--device-login). Use the API key it was given.";
    throw new ApiError(403, undefined, message);
  });

  app.post(
    "/auth/device/code",
    {
      schema: {
        tags,
        security,
        summary: "Start the login of a device",
        body: deviceCodeRequestSchema,
        response: { ...publicRefusals, 200: deviceCodeSchema },
      },
    },
    async () => {
      const { deviceCode, userCode, lifetimeSeconds } = startDeviceLogin(store, clock);
      const page = links.api("/auth/device");
      return {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: page,
        verification_uri_complete: `${page}?user_code=${userCode}`,
        expires_in: lifetimeSeconds,
        interval: 1,
      };
    },
  );

  app.post(
    "/auth/device/token",
    {
      schema: {
        tags,
        security,
        summary: "Fetch the API key of a login, once",
        body: deviceTokenRequestSchema,
        response: { ...publicRefusals, 200: deviceTokenSchema, 400: deviceTokenErrorSchema },
      },
    },
    async ({ body }, reply) => {
      const login = finishDeviceLogin(store, clock, body.device_code);
      if (login.kind === "approved") return { access_token: login.apiKey, token_type: "bearer" as const };
      const detail = { error: login.error, error_description: explanations[login.error] };
      return reply.code(400).send({ detail });
    },
  );

  app.get(
    "/auth/device",
    {
      schema: {
        tags,
        security,
        summary: "The page where a person would approve a login",
        querystring: z.object({ user_code: z.string().optional() }),
        response: { ...publicRefusals, 200: textAnswer },
      },
    },
    async (_request, reply) =>
      reply
        .type("text/plain; charset=utf-8")
        .send("This mock cloud approves every login by itself. You can close this page.\n"),
  );
};
