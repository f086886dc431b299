import { expect } from "chai";
import { type PackageManifest, readJson, readText, repositoryFiles } from "../../../support/repository/files.ts";
import { importsOf, packageOf } from "../../../support/repository/imports.ts";

// What each folder of src may import from the others. No import goes back: a folder that needs something from a later row
// moves it to an earlier one or gets it as an argument.
const mayImport: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  generated: [],
  core: ["errors", "generated"],
  files: ["errors"],
  chain: ["files", "core", "errors", "generated"],
  cloud: ["core", "errors"],
  update: ["files", "cloud", "chain", "core", "errors", "generated"],
  "mock-cloud": ["files", "core", "errors", "generated", "cloud/protocol"],
  history: ["files", "chain", "core", "errors", "generated"],
  batch: ["files", "chain", "core", "errors", "generated"],
  prune: ["history", "batch", "files", "cloud", "chain", "core", "errors", "generated"],
  plans: ["prune", "history", "batch", "update", "files", "cloud", "chain", "core", "errors", "generated"],
  governance: [
    ...["plans", "prune", "history", "batch", "update", "files", "cloud", "chain", "core", "errors", "generated"],
  ],
  rehearsal: [
    ...["world", "governance", "plans", "prune", "history", "batch", "update"],
    ...["files", "cloud", "chain", "core", "errors", "generated"],
  ],
  output: [
    "rehearsal",
    "governance",
    "plans",
    "prune",
    "history",
    "batch",
    "mock-cloud",
    "update",
    "cloud",
    "chain",
    "core",
    "errors",
  ],
  world: ["mock-cloud", "update", "files", "cloud", "chain", "core", "errors", "generated"],
  testing: ["world", "files", "chain", "core", "errors", "generated"],
  commands: [
    ...["output", "rehearsal", "world", "governance", "plans", "prune", "history", "batch", "update", "mock-cloud"],
    ...["files", "cloud", "chain", "core", "errors", "generated"],
  ],
  typechain: [],
  bin: ["commands", "mock-cloud", "files", "errors"],
  hardhat: ["commands", "output", "world", "chain", "core", "errors"],
};
// Doors of the package: they re-export and hold no logic.
const entryPoints = [
  "src/index.ts",
  "src/chain/index.ts",
  "src/cloud/index.ts",
  "src/update/index.ts",
  "src/batch/index.ts",
  "src/history/index.ts",
  "src/prune/index.ts",
  "src/plans/index.ts",
  "src/world/index.ts",
  "src/testing/index.ts",
];

// Same input, same output: no files, network, clock, environment or processes. Randomness only as a cipher's key.
const impure = [
  /\bprocess\b\.(?!versions)/,
  /(?<!\bnew )\bDate\b|\bnew Date\(\)/, // `new Date(given)` only converts
  /\bMath\.random\b/,
  /\bperformance\b/,
  /\bfetch\(/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bconsole\b/,
  /\bglobalThis\b/,
];
const pureNodeModules = ["node:crypto", "node:util", "node:buffer"];

const files = new Set(repositoryFiles().filter((path) => path.startsWith("src/")));
const sources = new Map(
  [...files].filter((path) => path.endsWith(".ts")).map((path) => [path, importsOf(path, readText(path))]),
);

/** `cloud/protocol` is a layer of its own: the mock cloud shares the wire format, never the client. */
function layerOf(path: string): string {
  if (/^src\/cloud\/protocol(?:\.ts$|\/)/.test(path)) return "cloud/protocol";
  return path.split("/")[1] ?? "";
}

describe("imports of src", () => {
  it("are found at all", () => {
    const found = importsOf(
      "src/a/b.ts",
      [
        'import type { A } from "../core/a.ts";',
        'import {\n  b,\n  type C,\n} from "./c.ts";',
        'export * from "./d.ts";',
        'import "viem";',
        'const e = await import("node:fs");',
        'type F = import("@scope/f/deep").F;',
      ].join("\n"),
    );
    expect(found.map(({ target }) => target)).to.have.members([
      "src/core/a.ts",
      "src/a/c.ts",
      "src/a/d.ts",
      "viem",
      "node:fs",
      "@scope/f/deep",
    ]);
    expect(sources.size).to.be.greaterThan(20);
  });

  it("stay inside src and name an existing file", () => {
    const wrong = [...sources].flatMap(([path, imports]) =>
      imports
        .filter(({ isRelative, target }) => isRelative && !files.has(target) && !mayLeaveSrc(path, target))
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).to.deep.equal([]);
  });

  it("go in one direction", () => {
    const wrong = [...sources]
      .filter(([path]) => !entryPoints.includes(path))
      .flatMap(([path, imports]) => {
        const layer = layerOf(path);
        const allowed = layer === "cloud/protocol" ? ["core", "errors"] : mayImport[layer];
        if (allowed === undefined) return [`${path} is in no known layer`];
        const within = layer === "cloud" ? ["cloud", "cloud/protocol"] : [layer];
        const permitted = [...within, ...allowed, ...(allowed.includes("cloud") ? ["cloud/protocol"] : [])];
        return imports
          .filter(({ isRelative, target }) => isRelative && sources.has(target))
          .filter(({ target }) => !permitted.includes(layerOf(target)) || entryPoints.includes(target))
          .map(({ target }) => `${path} imports ${target}`);
      });
    expect(wrong).to.deep.equal([]);
  });

  it("go up in the drawing of docs/architecture.md, which shows every layer", () => {
    const [, drawing = ""] = /^```\n([\s\S]*?)^```/m.exec(readText("docs/architecture.md")) ?? [];
    const rows = drawing.split("▲").map((row) => [...row.matchAll(/^src\/([\w-]+)/gm)].map(([, layer = ""]) => layer));
    expect(rows.flat()).to.have.members(Object.keys(mayImport));
    const rowOf = (layer: string) => rows.findIndex((row) => row.includes(layer.split("/")[0] ?? ""));
    const down = Object.entries(mayImport).flatMap(([layer, allowed]) =>
      allowed.filter((other) => rowOf(other) >= rowOf(layer)).map((other) => `${layer} imports ${other}`),
    );
    expect(down).to.deep.equal([]);
  });

  it("have no cycle", () => {
    expect(findCycle()?.join(" -> ")).to.equal(undefined);
  });

  it("name only packages that users also install", () => {
    const { dependencies, peerDependencies = {} } = readJson<PackageManifest>("package.json");
    const installed = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
    const wrong = [...sources].flatMap(([path, imports]) =>
      imports
        .filter(({ isRelative, target }) => !isRelative && !target.startsWith("node:"))
        .filter(({ target }) => !installed.has(packageOf(target)))
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).to.deep.equal([]);
  });
});

describe("src/core and src/errors", () => {
  const pure = [...sources].filter(([path]) => ["core", "errors", "generated"].includes(layerOf(path)));

  it("use no Node module with side effects", () => {
    const wrong = pure.flatMap(([path, imports]) =>
      imports
        .filter(({ target }) => target.startsWith("node:") && !pureNodeModules.includes(target))
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).to.deep.equal([]);
  });

  it("use no clock, environment or randomness, and print nothing", () => {
    const wrong = pure.flatMap(([path]) =>
      impure.filter((pattern) => pattern.test(withoutComments(readText(path)))).map((pattern) => `${path}: ${pattern}`),
    );
    expect(wrong).to.deep.equal([]);
  });
});

describe("the environment", () => {
  it("is read where a process starts or the user names a variable, and passed on from there", () => {
    const readers = [...sources.keys()].filter((path) => /\bprocess\.env\b/.test(withoutComments(readText(path))));
    // cache-directory.ts reads the platform's variables.
    expect(readers).to.have.members([
      "src/files/cache-directory.ts",
      "src/bin/main.ts",
      "src/commands/update-arguments.ts",
    ]);
  });
});

/** TypeChain's output, which no clone has before its first build. */
function mayLeaveSrc(path: string, target: string): boolean {
  return layerOf(path) === "typechain" && target.startsWith("types/ethers-contracts/");
}

function withoutComments(source: string): string {
  return source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
}

/** Paths of one circle, first and last the same. */
function findCycle(): string[] | undefined {
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (finished.has(path)) return undefined;
    for (const { target } of sources.get(path) ?? []) {
      const cycle = sources.has(target) ? visit(target, [...trail, path]) : undefined;
      if (cycle !== undefined) return cycle;
    }
    finished.add(path);
    return undefined;
  };
  for (const path of sources.keys()) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
