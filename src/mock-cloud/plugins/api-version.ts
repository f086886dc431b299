import type { FastifyInstance } from "fastify";
import { type ApiVersion, headerNames, resolveApiVersion } from "../../cloud/protocol.ts";
import { InvalidRequestError } from "../errors.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Decides the shape of the answer. */
    apiVersion: ApiVersion;
  }
}

export function registerApiVersion(app: FastifyInstance): void {
  app.decorateRequest("apiVersion");
  app.addHook("onRequest", async (request) => {
    const header = request.headers[headerNames.apiVersion.toLowerCase()];
    const version = resolveApiVersion(typeof header === "string" ? header : undefined);
    if (version === undefined) {
      throw new InvalidRequestError(
        ["header", headerNames.apiVersion],
        "Must be a date such as 2026-01-21, or latest.",
      );
    }
    request.apiVersion = version;
  });
}
