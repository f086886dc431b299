import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform } from "fastify-type-provider-zod";
import { headerNames } from "../../cloud/protocol.ts";

/** Describes every route from its schemas, at `/openapi.json`. Register it before the routes. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "dstack-toolkit mock cloud",
        description: "The CVM API of Phala Cloud, as its official clients use it, on this machine.",
        version: "1",
      },
      components: {
        securitySchemes: { apiKey: { type: "apiKey", in: "header", name: headerNames.apiKey } },
      },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
  });
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
}
