// Writes src/generated/*-abi.ts from the compiled contracts, so that every type below them follows the Solidity.
//
//   node scripts/run.mjs scripts/generate-abi.ts           rewrite
//   node scripts/run.mjs scripts/generate-abi.ts --check   exit 1 if a committed file differs
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Abi, AbiParameter } from "viem";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = [
  { contract: "DstackApp", constant: "dstackAppAbi", file: "src/generated/dstack-app-abi.ts" },
  { contract: "DstackKms", constant: "dstackKmsAbi", file: "src/generated/dstack-kms-abi.ts" },
  { contract: "BatchExecutor", constant: "batchExecutorAbi", file: "src/generated/batch-executor-abi.ts" },
];

const wanted = modules.map((module) => ({ ...module, text: render(module.constant, module.contract, module.file) }));
if (process.argv.includes("--check")) {
  const drifted = wanted.filter(({ file, text }) => text !== committedText(file)).map(({ file }) => file);
  if (drifted.length > 0)
    fail(
      `${drifted.join(", ")}differs from the ABI of the compiled contracts. Run "npm run generate" and commit the result.`,
    );
} else {
  for (const { file, text } of wanted) writeFileSync(join(root, file), text);
}

function render(constant: string, contract: string, file: string): string {
  const header = `// Generated from the ${contract} artifact by "npm run generate". Do not edit.\n`;
  return format(`${header}export const ${constant} = ${JSON.stringify(inOrder(readAbi(contract)))} as const;\n`, file);
}

function readAbi(contract: string): Abi {
  const artifact = join(root, "artifacts", "contracts", `${contract}.sol`, `${contract}.json`);
  if (!existsSync(artifact)) fail(`${contract} is not compiled. Run "npm run hardhat build" first.`);
  return JSON.parse(readFileSync(artifact, "utf8")).abi;
}

/** Sorted by kind, then by signature, so that a new compiler or a moved function does not reorder the file. */
function inOrder(abi: Abi): Abi {
  const kinds = ["constructor", "function", "event", "error", "receive", "fallback"];
  const key = (item: Abi[number]) => `${kinds.indexOf(item.type)} ${signature(item)}`;
  return abi.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function signature(item: Abi[number]): string {
  return "name" in item ? `${item.name}(${item.inputs.map((input: AbiParameter) => input.type).join()})` : "";
}

function format(source: string, file: string): string {
  const biome = createRequire(import.meta.url).resolve("@biomejs/biome/bin/biome");
  const run = spawnSync(process.execPath, [biome, "format", `--stdin-file-path=${file}`], {
    cwd: root,
    input: source,
    encoding: "utf8",
  });
  if (run.status !== 0) fail(`biome could not format ${file}: ${run.stderr}`);
  return run.stdout;
}

/** Line endings depend on the git checkout, so they do not count as a difference. */
function committedText(file: string): string | undefined {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, "utf8").replaceAll("\r\n", "\n") : undefined;
}

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}
