// Writes dist/, which `npm publish` packs: the library, the Ignition modules and the TypeChain bindings. With
// --no-compile, the contracts must already be compiled.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { commandOf, filesBelow, root } from "./support/paths.ts";
import { describeEnd, runCommand } from "./support/run-command.ts";

const dist = join(root, "dist");
const scratch = join(root, "cache", "build");

/** Entry points that cannot be imported without a peer dependency, which is optional for the users of the others. */
const entriesWithPeer = [
  ["world/index", "hardhat"],
  ["typechain/index", "ethers"],
  ["ignition/dstack-kms", "@nomicfoundation/hardhat-ignition"],
] as const;

rmSync(dist, { recursive: true, force: true });
if (!process.argv.includes("--no-compile")) await run(commandOf("hardhat", "hardhat"), "build");
await compile("tsconfig.build.json");
await compileIgnitionModules();
await compileTypechain();
for (const path of filesBelow("dist", ".d.ts")) useJavaScriptExtensions(path);
for (const [name, peer] of entriesWithPeer) await writeDoor(name, peer);

async function compile(project: string): Promise<void> {
  await run(commandOf("typescript", "tsc"), "-p", project);
}

function compileIgnitionModules(): Promise<void> {
  return compile(
    writeProject("ignition.json", {
      rootDir: join(root, "ignition", "modules"),
      outDir: join(dist, "ignition"),
      include: [join(root, "ignition", "modules")],
    }),
  );
}

/** TypeChain's output is outside src, so it is copied beside the entry point first. */
function compileTypechain(): Promise<void> {
  const sources = join(scratch, "typechain");
  rmSync(sources, { recursive: true, force: true });
  cpSync(join(root, "src", "typechain"), sources, { recursive: true });
  cpSync(join(root, "types", "ethers-contracts"), join(sources, "ethers-contracts"), { recursive: true });
  for (const path of filesBelow("cache/build/typechain", ".ts"))
    rewrite(path, (text) => text.replaceAll(/(["'])(?:\.\.\/)+types\/ethers-contracts\//g, "$1./ethers-contracts/"));
  return compile(
    // Only the files that the entry point imports: TypeChain also writes classes for the tests' contracts.
    writeProject("typechain.json", {
      rootDir: sources,
      outDir: join(dist, "typechain"),
      include: [join(sources, "index.ts")],
    }),
  );
}

interface Project {
  readonly rootDir: string;
  readonly outDir: string;
  readonly include: readonly string[];
}

/** Generated code is compiled with fewer rules than ours, because it has namespaces and unused names. */
function writeProject(name: string, { include, ...directories }: Project): string {
  const path = join(scratch, name);
  const lenient = { erasableSyntaxOnly: false, verbatimModuleSyntax: false, noUnusedLocals: false, declaration: true };
  mkdirSync(scratch, { recursive: true });
  writeFileSync(
    path,
    JSON.stringify({
      extends: join(root, "tsconfig.build.json"),
      compilerOptions: { ...lenient, ...directories },
      include,
      exclude: [],
    }),
  );
  return path;
}

/** tsc rewrites `.ts` specifiers only in JavaScript. Not every tool resolves them in declarations. */
function useJavaScriptExtensions(path: string): void {
  rewrite(path, (text) => text.replaceAll(/((?:\bfrom |\bimport ?\(?)["']\.{1,2}\/[^"']+)\.ts(["'])/g, "$1.js$2"));
}

function rewrite(path: string, change: (text: string) => string): void {
  const absolute = join(root, path);
  writeFileSync(absolute, change(readFileSync(absolute, "utf8")));
}

/**
 * The file behind the `import` condition of such an entry point: the same names, loaded by `importWithPeer`. `require`
 * loads the entry point itself, because it cannot await a promise.
 */
async function writeDoor(name: string, peer: string): Promise<void> {
  const names = Object.keys(await import(pathToFileURL(join(dist, `${name}.js`)).href));
  const path = join(dist, "doors", `${name}.js`);
  const up = "../".repeat(name.split("/").length);
  const entry = `dstack-toolkit/${name.replace("/index", "")}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    `import { importWithPeer } from "${up}files/import-with-peer.js";
const needed = ${JSON.stringify({ entry, peer })};
const entry = await importWithPeer(needed, () => import("${up}${name}.js"));
${names.map((name, index) => `const name${index} = entry.${name};`).join("\n")}
export { ${names.map((name, index) => `name${index} as ${name}`).join(", ")} };
`,
  );
}

async function run(...args: readonly string[]): Promise<void> {
  const outcome = await runCommand({ command: process.execPath, args, cwd: root });
  if (outcome.code === 0) return;
  console.error(`${args.slice(1).join(" ")} ${describeEnd(outcome)}.`);
  process.exit(1);
}
