import type { FastifyInstance } from "fastify";
import { headerNames } from "../../cloud/protocol.ts";
import { unauthorized } from "../errors.ts";
import { hashApiKey } from "../services/api-keys.ts";
import type { Principal, Workspaces } from "../store/workspaces.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Lets requests without any key pass, with no principal: their handler takes a commit token in its place. */
    readonly isTokenEnough?: boolean;
  }
  interface FastifyRequest {
    /** Whose API key came with the request. */
    principal: Principal;
  }
}

/** Lets nobody past without a known API key. */
export function registerAuthentication(app: FastifyInstance, workspaces: Workspaces): void {
  app.decorateRequest("principal");
  app.addHook("onRequest", async (request) => {
    const key = request.headers[headerNames.apiKey.toLowerCase()];
    const principal = typeof key === "string" ? workspaces.findPrincipal(hashApiKey(key)) : undefined;
    if (key === undefined && request.routeOptions.config.isTokenEnough) return;
    if (!principal) throw unauthorized();
    request.principal = principal;
  });
}
