import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { toIsoTime } from "../clock.ts";
import { registerAdminGuard } from "../plugins/admin-guard.ts";
import { longestAdvanceMs, type Timekeeper } from "../services/timekeeper.ts";

export interface AdminRoutesOptions {
  readonly key: string;
  readonly timekeeper: Timekeeper;
}

/** Handles on the mock itself. They are no part of the API that is mocked, so its OpenAPI document leaves them out. */
export const adminRoutes: FastifyPluginAsyncZod<AdminRoutesOptions> = async (app, { key, timekeeper }) => {
  registerAdminGuard(app, key);

  const clockAnswer = () => ({ now: toIsoTime(timekeeper.now()) });

  app.get("/clock", { schema: { hide: true } }, async () => clockAnswer());

  app.post(
    "/clock/advance",
    { schema: { hide: true, body: z.strictObject({ ms: z.number().int().min(0).max(longestAdvanceMs) }) } },
    async ({ body }) => {
      await timekeeper.advance(body.ms);
      return clockAnswer();
    },
  );
};
