import type { FastifyInstance, FastifyRequest } from "fastify";
import type { QuietTime } from "../snapshot/quiet-time.ts";

/** Keeps every request that touches the state out of a snapshot or restore. Admin endpoints are what starts those. */
export function registerQuietTime(app: FastifyInstance, quietTime: QuietTime): void {
  const leaving = new WeakMap<FastifyRequest, () => void>();

  // After the body was read and checked: a client that sends slowly holds nobody up.
  app.addHook("preHandler", async (request) => {
    if (request.routeOptions.url?.startsWith("/admin/")) return;
    leaving.set(request, await quietTime.enter());
  });

  // Reached with every answer, refusals and those nobody waits for any more included. A stream is let out as it begins.
  app.addHook("onSend", async (request, _reply, payload) => {
    leaving.get(request)?.();
    return payload;
  });
}
