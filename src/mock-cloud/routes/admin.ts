import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import { ApiError, cvmNotFound } from "../errors.ts";
import type { Faults } from "../faults/faults.ts";
import { faultRuleSchema } from "../faults/rule.ts";
import { registerAdminGuard } from "../http/hooks.ts";
import type { Fleet } from "../services/fleet.ts";
import { longestAdvanceMs, type Timekeeper } from "../services/timekeeper.ts";
import type { Snapshots } from "../snapshots.ts";
import type { Cvms } from "../store/cvms.ts";

export interface AdminRoutesOptions {
  readonly key: string;
  readonly timekeeper: Timekeeper;
  readonly faults: Faults;
  readonly snapshots: Snapshots;
  readonly fleet: Fleet;
  readonly cvms: Cvms;
}

const nodeId = z.number().int().min(0);

/** Endpoints that control the mock itself. The real API does not have them, so the OpenAPI document omits them. */
export const adminRoutes: FastifyPluginAsyncZod<AdminRoutesOptions> = async (
  app,
  { key, timekeeper, faults, snapshots, fleet, cvms },
) => {
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

  app.get("/faults", { schema: { hide: true } }, async () => ({ items: faults.list() }));

  app.post("/faults", { schema: { hide: true, body: faultRuleSchema } }, async ({ body }, reply) =>
    reply.code(201).send(faults.set(body)),
  );

  app.delete("/faults", { schema: { hide: true } }, async (_request, reply) => {
    faults.clear();
    return reply.code(204).send();
  });

  app.delete(
    "/faults/:id",
    { schema: { hide: true, params: z.object({ id: z.string() }) } },
    async ({ params }, reply) => {
      if (!faults.clear(params.id)) throw new ApiError(404, undefined, `There is no fault ${params.id}.`);
      return reply.code(204).send();
    },
  );

  app.post(
    "/cvms/:id/move",
    { schema: { hide: true, params: z.object({ id: z.string() }), body: z.strictObject({ node_id: nodeId }) } },
    async ({ params, body }, reply) => {
      const cvm = cvms.findHashid(params.id);
      if (!cvm) throw cvmNotFound(params.id);
      fleet.move(cvm, body.node_id);
      return reply.code(204).send();
    },
  );

  app.post(
    "/nodes/:id/drift",
    { schema: { hide: true, params: z.object({ id: z.coerce.number().pipe(nodeId) }) } },
    async ({ params }) => ({ device_id: withoutPrefix(fleet.driftDevice(params.id)) }),
  );

  app.post("/snapshots", { schema: { hide: true } }, async (_request, reply) =>
    reply.code(201).send({ id: await snapshots.take() }),
  );

  app.post(
    "/snapshots/:id/restore",
    { schema: { hide: true, params: z.object({ id: z.string() }) } },
    async ({ params }) => {
      await snapshots.restore(params.id);
      return clockAnswer();
    },
  );
};
