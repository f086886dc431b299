import type { FastifyInstance, FastifyRequest } from "fastify";
import { InvalidRequestError } from "../errors.ts";

const textTypes = [
  "text/plain",
  "text/yaml",
  "text/x-yaml",
  "application/yaml",
  "application/x-yaml",
  "text/x-shellscript",
];

/** Levels of a JSON body. What walks a document by recursion would run out of stack at some thousands. */
const deepestJson = 100;

/**
 * The encodings clients use: JSON that may be empty (they announce it on requests without a body too), raw text for
 * compose files and scripts, and a form whose part `file` holds such a text.
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
