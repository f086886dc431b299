import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { headerNames } from "../../cloud/protocol.ts";
import { InvalidRequestError } from "../errors.ts";
import type { EventListener } from "../events.ts";
import { toErrorAnswer } from "./error-answers.ts";

const textTypes = [
  "text/plain",
  "text/yaml",
  "text/x-yaml",
  "application/yaml",
  "application/x-yaml",
  "text/x-shellscript",
];

/** Maximum depth of a JSON body. Recursive code would exhaust the stack at some thousand levels. */
const deepestJson = 100;

/**
 * Parses the encodings that clients use: JSON, which may be empty (clients announce JSON for requests without a body
 * too); raw text for compose files and scripts; and a form whose part `file` holds such a text.
 */
export function registerBodyParsers(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser(["application/json", "text/plain"]);
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") return done(null, undefined);
    parseJson(request, body.toString(), (error, value) => {
      if (error || !isDeeper(value, deepestJson)) done(error, value);
      else done(new InvalidRequestError(["body"], `The body has more than ${deepestJson} levels.`, "recursion_limit"));
    });
  });
  app.addContentTypeParser(textTypes, { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.addContentTypeParser(
    "multipart/form-data",
    { parseAs: "buffer" },
    async (request: FastifyRequest, body: Buffer<ArrayBuffer>) => {
      const headers = { "content-type": request.headers["content-type"] ?? "" };
      const form = await new Response(body, { headers }).formData().catch(() => undefined);
      const part = form?.get("file");
      if (part === null || part === undefined)
        throw new InvalidRequestError(["body", "file"], "Field required", "missing");
      return typeof part === "string" ? part : part.text();
    },
  );
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}

/** Gives every error a documented shape, and every answer its request id. */
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

/** Does the same for a request that reaches no route and no hook, for example if its URL cannot be decoded. */
export function refuseUnroutable(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const { status, body } = toErrorAnswer(error, request.id);
  void reply.code(status).header(headerNames.requestId, request.id).send(body);
}

interface Route {
  readonly method: string;
  readonly path: RegExp;
}

/**
 * Answers 405 if the path exists with another method, 404 if the path does not exist. Register it before the routes.
 * Admin paths always give 404 here, so that the answer does not reveal them.
 */
export function registerMethodNotAllowed(app: FastifyInstance): void {
  const routes: Route[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    if (url.startsWith("/admin/")) return;
    const path = new RegExp(`^${url.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(/:\w+/g, "[^/]+")}$`);
    for (const one of [method].flat()) routes.push({ method: one, path });
  });
  app.setNotFoundHandler((request, reply) => refuse(request, reply, routes));
}

function refuse({ url }: FastifyRequest, reply: FastifyReply, routes: readonly Route[]): FastifyReply {
  const path = url.split("?")[0] ?? url;
  const allowed = new Set(routes.filter((route) => route.path.test(path)).map(({ method }) => method));
  if (allowed.size === 0) return reply.code(404).send({ detail: "Not Found" });
  return reply
    .code(405)
    .header("Allow", [...allowed].sort().join(", "))
    .send({ detail: "Method Not Allowed" });
}
