// Writes a digest of the document that the mock cloud serves at /openapi.json: every operation with its statuses, and
// the names of the schemas. With --check it only compares.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildMockCloud } from "../src/mock-cloud/index.ts";
import { root } from "./support/paths.ts";

interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
  readonly components: { readonly schemas: object };
}

const name = "test/support/mock-cloud/openapi-digest.txt";
const path = join(root, name);
const cloud = await buildMockCloud();
const { body } = await cloud.app.inject({ method: "GET", url: "/openapi.json" });
await cloud.close();
const wanted = digestOf(JSON.parse(body));
if (!process.argv.includes("--check")) writeFileSync(path, wanted);
else if (!existsSync(path) || readFileSync(path, "utf8") !== wanted) {
  console.error(`${name} differs from the routes of src/mock-cloud. Run \`npm run generate\`.`);
  process.exitCode = 1;
}

function digestOf({ paths, components }: OpenApiDocument): string {
  const operations = Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(
      ([method, { responses }]) => `${route} ${method.toUpperCase()} ${Object.keys(responses).join(" ")}`,
    ),
  );
  return [...operations.sort(), ...Object.keys(components.schemas).sort(), ""].join("\n");
}
