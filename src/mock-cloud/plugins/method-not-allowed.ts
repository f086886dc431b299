import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

interface Route {
  readonly method: string;
  readonly path: RegExp;
}

/**
 * Answers 405 where a path exists but not with this method, 404 where it does not exist. Register it before the routes.
 * Admin endpoints stay unseen.
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
