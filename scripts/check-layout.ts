// Compares the storage layout of the compiled contracts with contracts/layout/, the layout that deployed proxies use.
//
//   node scripts/run.mjs scripts/check-layout.ts           exit 1 if a variable was moved, added or removed
//   node scripts/run.mjs scripts/check-layout.ts --write   accept the compiled layout
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./support/paths.ts";
import {
  artifactPath,
  compareLayouts,
  type LayoutEntry,
  layoutContracts,
  readCompiledLayout,
} from "./support/storage-layout.ts";

const accept = process.argv.includes("--write");

for (const contract of Object.keys(layoutContracts)) {
  const name = `contracts/layout/${contract}.json`;
  const path = join(root, name);
  if (!existsSync(join(root, artifactPath(contract)))) {
    fail(`${contract} is not compiled. Run "npm run hardhat build" first.`);
    continue;
  }
  const compiled = readCompiledLayout(contract);
  if (accept) {
    writeFileSync(path, `${JSON.stringify(compiled, undefined, 2)}\n`);
    continue;
  }
  if (!existsSync(path)) {
    fail(`${name} is missing. Restore it from version control.`);
    continue;
  }
  const committed = JSON.parse(readFileSync(path, "utf8")) as LayoutEntry[];
  const differences = compareLayouts(committed, compiled);
  if (differences.length > 0)
    fail(
      `The storage of ${contract} differs from ${name}: an upgrade would misread the state of deployed proxies, or the tests would not use the layouts of older releases.\n` +
        `${differences.map((line) => `  ${line}\n`).join("")}` +
        "Move the variable back. If it only uses space of the gap, accept the layout with --write.",
    );
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}
