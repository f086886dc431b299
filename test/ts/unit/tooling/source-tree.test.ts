import { dirname, posix } from "node:path";
import { expect } from "chai";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";

const sources = repositoryFiles().filter((path) => path.startsWith("src/") && path.endsWith(".ts"));
const written = sources.filter((path) => !path.startsWith("src/generated/"));
const lineCounts = written.map((path) => ({ path, lines: readText(path).split("\n").length - 1 }));

// A statement that begins with `import type` or `export type`, or names types alone, is erased: it loads nothing.
const statement = /^(?:import|export)\s+(?!type\b)([^;"']*?)\bfrom\s+"(\.[^"]+)"/gm;

/** The files of ours that a file loads when it is loaded. */
function loadedBy(path: string): string[] {
  return [...readText(path).matchAll(statement)]
    .filter(([, names = ""]) => !isOfTypesAlone(names))
    .map(([, , specifier = ""]) => posix.join(dirname(path), specifier))
    .filter((target) => target.startsWith("src/"));
}

function isOfTypesAlone(names: string): boolean {
  const [, list] = /^\{([^}]*)\}\s*$/.exec(names.trim()) ?? [];
  const each = list?.split(",").filter((name) => name.trim() !== "");
  return each?.every((name) => /^\s*type\s/.test(name)) ?? false;
}

function closureOf(start: string): Set<string> {
  const closure = new Set<string>();
  const left = [start];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (closure.has(path)) continue;
    closure.add(path);
    left.push(...loadedBy(path));
  }
  return closure;
}

describe("the tree of src", () => {
  it("has at most 500 files in 44 folders", () => {
    expect(sources).to.have.lengthOf.within(200, 500);
    expect(new Set(sources.map((path) => dirname(path))))
      .to.have.property("size")
      .that.is.within(20, 44);
  });

  it("has files of a length that can be read at once", () => {
    const sorted = lineCounts.map(({ lines }) => lines).toSorted((one, other) => one - other);
    expect(sorted[Math.floor(sorted.length / 2)], "median").to.be.within(70, 140);
    expect(lineCounts.filter(({ lines }) => lines > 450)).to.deep.equal([]);
  });

  it("loads at most 125 files for dstack hash add", () => {
    expect(closureOf("src/commands/hash.ts")).to.have.property("size").that.is.within(50, 125);
  });
});
