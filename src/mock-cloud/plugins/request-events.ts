import type { FastifyInstance } from "fastify";
import type { EventListener } from "../events.ts";

export function registerRequestEvents(app: FastifyInstance, emit: EventListener): void {
  app.addHook("onResponse", async (request, reply) => {
    emit({
      type: "request",
      method: request.method,
      path: request.url.split("?")[0] ?? request.url,
      status: reply.statusCode,
      durationMs: reply.elapsedTime,
      requestId: request.id,
    });
  });
}
