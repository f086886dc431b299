import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { commandOf, filesBelow, root } from "../../../../scripts/support/paths.ts";
import { type PackageManifest, readJson, readText } from "../../../support/repository/files.ts";

// The examples of the functions that take a ledger show these.
const shownElsewhere = ["memoryLedger", "openLedger"];

const manifest = readJson<PackageManifest>("package.json");
/** Each entry point that is TypeScript of ours, with its source. */
const entryPoints = Object.entries(manifest.exports ?? {}).flatMap(([key, target]) => {
  const file = String(Reflect.get(Object(target), "default"));
  const source = file.replace(/^\.\/dist\/(.+)\.js$/, "src/$1.ts");
  return source.startsWith("src/") && !source.includes("*") ? [[key.replace(".", manifest.name), source] as const] : [];
});
const sources = filesBelow("src", ".ts").map(readText);

describe("documentation comments of public functions", () => {
  const examples = new Map<string, string | undefined>();
  before(async () => {
    for (const [, source] of entryPoints)
      for (const name of functionsOf(await import(`../../../../${source}`))) examples.set(name, findExample(name));
  });

  it("each have an example", () => {
    const missing = [...examples].flatMap(([name, code]) => (code === undefined ? [name] : []));
    expect(missing).to.deep.equal([]);
    expect(examples.size).to.be.greaterThan(100);
  });

  it("have examples that import the function from the package and compile", () => {
    const strangers = [...examples].filter(
      ([name, code = ""]) =>
        !new RegExp(`^import \\{[^}]*\\b${name}\\b[^}]*\\} from "${manifest.name}`, "m").test(code),
    );
    expect(strangers.map(([name]) => name)).to.deep.equal([]);
    expect(compile(examples)).to.equal("");
  }).timeout(60_000);
});

/** A `safe…` variant only returns the error of its action, and classes are not called. */
function functionsOf(exported: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(exported).flatMap(([name, value]) => {
    const isFunction = typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value));
    const isVariant = /^safe[A-Z]/.test(name) && name.charAt(4).toLowerCase() + name.slice(5) in exported;
    return isFunction && !isVariant && !shownElsewhere.includes(name) ? [name] : [];
  });
}

/** The text below `@example` in the comment above the function. */
function findExample(name: string): string | undefined {
  const declaration = new RegExp(
    String.raw`\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:async )?(?:function\*?|const) ${name}\b`,
    "g",
  );
  const comments = sources.flatMap((text) => [...text.matchAll(declaration)].map(([, comment = ""]) => comment));
  const [, example] = comments.map((comment) => comment.split("@example\n")).find(({ length }) => length > 1) ?? [];
  return example?.replaceAll(/^ *\* ?/gm, "").trim();
}

/** Type-checks all examples in one program, with the package's name leading to its sources. Returns the errors. */
function compile(examples: ReadonlyMap<string, string | undefined>): string {
  mkdirSync(join(root, "cache"), { recursive: true });
  const directory = mkdtempSync(join(root, "cache", "examples-"));
  try {
    for (const [name, code = ""] of examples) writeFileSync(join(directory, `${name}.ts`), `${code}\n`);
    writeFileSync(join(directory, "app.ts"), 'export * from "../../test/support/examples/app.ts";\n');
    const paths = Object.fromEntries(entryPoints.map(([specifier, source]) => [specifier, [`../../${source}`]]));
    const compilerOptions = { noUnusedLocals: false, paths, types: ["node", "chai"] };
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] }),
    );
    const { stdout } = spawnSync(
      process.execPath,
      [commandOf("typescript", "tsc"), "-p", directory, "--pretty", "false"],
      {
        cwd: root,
        encoding: "utf8",
      },
    );
    return stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
