// Writes docs/openapi.json, the mock cloud's description of itself. With --check it only compares.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildMockCloud } from "../src/mock-cloud/index.ts";
import { root } from "./support/paths.ts";

const path = join(root, "docs", "openapi.json");
const cloud = await buildMockCloud();
const { body } = await cloud.app.inject({ method: "GET", url: "/openapi.json" });
await cloud.close();
const wanted = `${JSON.stringify(JSON.parse(body), undefined, 1)}\n`;
if (!process.argv.includes("--check")) writeFileSync(path, wanted);
else if (!existsSync(path) || readFileSync(path, "utf8") !== wanted) {
  console.error("docs/openapi.json differs from the routes of src/mock-cloud. Run `npm run generate`.");
  process.exitCode = 1;
}
