// Replaces the JSON schema of compose files and its licence by those of the Go module that origin.json names, or of
// another version of it: `node scripts/run.mjs scripts/refresh-compose-schema.ts [vX.Y.Z]`. Needs Go.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./support/paths.ts";

interface Origin {
  readonly module: string;
  readonly version: string;
  readonly sum: string;
  readonly license: string;
}

const folder = join(root, "src", "core", "compose-schema");
const origin: Origin = JSON.parse(readFileSync(join(folder, "origin.json"), "utf8"));
const [version = origin.version] = process.argv.slice(2);
const answer = execFileSync("go", ["mod", "download", "-json", `${origin.module}@${version}`], { encoding: "utf8" });
const { Dir: source, Sum: sum }: { readonly Dir: string; readonly Sum: string } = JSON.parse(answer);
if (version === origin.version && sum !== origin.sum) {
  throw new Error(`The checksum of ${origin.module} ${version} is ${sum}, but origin.json has ${origin.sum}.`);
}
for (const [from, to] of [
  ["schema/compose-spec.json", "compose-spec.json"],
  ["LICENSE", "LICENSE"],
] as const)
  writeFileSync(join(folder, to), readFileSync(join(source, from)));
writeFileSync(join(folder, "origin.json"), `${JSON.stringify({ ...origin, version, sum }, undefined, 2)}\n`);
console.log(`The schema is that of ${origin.module} ${version}. If the version changed, change it in NOTICE too.`);
