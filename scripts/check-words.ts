// Counts words that hide who acts, in comments, in messages and in pages, and fails above two in 1,000 lines of any of
// them. It is an alarm for unclear sentences, not their definition.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, root } from "./support/paths.ts";
import { countVagueWords, proseOf } from "./support/prose.ts";

const folders = ["bench", "contracts", "docs", "examples", "ignition", "scripts", "src", "test"];
// No user sees the strings of tests: titles, and the answers of fake endpoints.
const hasMessages = /^(?:contracts|examples|ignition|scripts|src)\//;

const paths = [...readdirSync(root), ...folders.flatMap((folder) => filesBelow(folder, ""))].filter(
  (path) => /\.(?:md|mjs|sol|ts)$/.test(path) && !/\/node_modules\/|^src\/generated\//.test(path),
);
const prose = paths.flatMap((path) =>
  proseOf(path, readFileSync(join(root, path), "utf8")).filter(
    ({ kind }) => kind !== "messages" || hasMessages.test(path),
  ),
);

for (const kind of ["comments", "messages", "pages"] as const) {
  const { places, rate } = countVagueWords(prose, kind);
  if (rate <= 2) continue;
  console.error(
    `${kind}: ${rate.toFixed(1)} vague words in 1,000 lines. Name who acts: the owner, the node, the user.`,
  );
  for (const place of places) console.error(`  ${place}`);
  process.exitCode = 1;
}
