import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { headerNames } from "../../cloud/protocol.ts";
import type { EventListener } from "../events.ts";
import { toErrorAnswer } from "../wire/error-answers.ts";

/** Every error leaves in a documented shape, and every answer carries its request id. */
export function registerErrorBodies(app: FastifyInstance, emit: EventListener): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.header(headerNames.requestId, request.id);
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, body, retryAfterSeconds } = toErrorAnswer(error, request.id);
    if (status === 500) emit({ type: "internal-error", requestId: request.id, message: String(error) });
    if (retryAfterSeconds !== undefined) reply.header("Retry-After", retryAfterSeconds);
    return reply.code(status).send(body);
  });
}

/** The same for a request that reaches no route and no hook, such as one whose URL cannot be decoded. */
export function refuseUnroutable(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const { status, body } = toErrorAnswer(error, request.id);
  void reply.code(status).header(headerNames.requestId, request.id).send(body);
}
