import { STATUS_CODES } from "node:http";
import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { headerNames, statusCodes } from "../../cloud/protocol.ts";
import { schemaRegistry } from "./schemas.ts";

const statusTexts: Readonly<Record<number, string>> = {
  ...STATUS_CODES,
  [statusCodes.hashRegistrationRequired]: "The compose hash must be registered on chain first",
  [statusCodes.hashInvalidOrExpired]: "No live update of this CVM has this compose hash",
  [statusCodes.transactionNotVerified]: "The transaction does not prove the registration",
  [statusCodes.hashNotAllowed]: "The app's contract does not allow the compose hash",
};

/** Statuses after which a client should repeat the request later. */
const mayComeAgain: ReadonlySet<string> = new Set(["429", "503"]);

/** Serves an OpenAPI document at `/openapi.json`, built from the routes' schemas. Register it before the routes. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  const addComponents = createJsonSchemaTransformObject({ schemaRegistry });
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
        headers: {
          RequestId: {
            description: "Id of this request. The mock's logs of the request have the same id.",
            required: true,
            schema: { type: "string" },
          },
          RetryAfter: { description: "Seconds to wait before trying again.", schema: { type: "integer" } },
        },
      },
      security: [{ apiKey: [] }],
    },
    transform: createJsonSchemaTransform({ schemaRegistry }),
    transformObject: (document) => describeResponses(dropUnused(addComponents(document))),
  });
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
}

type Document = ReturnType<ReturnType<typeof createJsonSchemaTransformObject>>;

/** Removes unused schemas: the library also lists every schema as an input, used or not. */
function dropUnused(document: Document): Document {
  const { components } = document as { components?: { schemas?: Record<string, unknown> } }; // OpenAPI 3, as asked for
  const schemas = components?.schemas ?? {};
  const text = JSON.stringify(document);
  const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`));
  for (const name of unused) delete schemas[name];
  // Schemas that only an unused schema referred to are now unused too.
  return unused.length > 0 ? dropUnused(document) : document;
}

interface Response {
  description?: string;
  headers?: Record<string, { readonly $ref: string }>;
}

/** Adds what zod's schemas cannot express: a description for every status, and the headers. */
function describeResponses(document: Document): Document {
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.values(path ?? {}));
  for (const { responses = {} } of operations as { responses?: Record<string, Response> }[]) {
    for (const [status, response] of Object.entries(responses)) {
      response.description = statusTexts[Number(status)] ?? status;
      response.headers = {
        [headerNames.requestId]: { $ref: "#/components/headers/RequestId" },
        ...(mayComeAgain.has(status) && { "Retry-After": { $ref: "#/components/headers/RetryAfter" } }),
      };
    }
  }
  return document;
}
