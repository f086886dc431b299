import { posix } from "node:path";
import { expect } from "chai";
import { type PackageManifest, readJson, readText, repositoryFiles } from "../../../support/repository/files.ts";

const files = repositoryFiles();
const pages = files.filter((path) => path.endsWith(".md"));

describe("Markdown pages", () => {
  it("link to files and headings that exist", () => {
    const broken = pages.flatMap((page) =>
      linksOf(readText(page))
        .filter((link) => !/^(?:[a-z]+:|\/\/)/.test(link) && !exists(page, link))
        .map((link) => `${page}: ${link}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it("call only npm scripts that exist", () => {
    const { scripts } = readJson<PackageManifest>("package.json");
    const builtIn = ["test", "ci", "install", "pack", "exec", "init", "publish"];
    const unknown = pages.flatMap((page) =>
      [...readText(page).matchAll(/\bnpm (run )?([a-z][\w:-]*)/g)]
        .filter(([, run, name = ""]) =>
          run === undefined ? !builtIn.includes(name) && name in scripts : !(name in scripts),
        )
        .map(([command]) => `${page}: ${command}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it("name only files of this repository that exist", () => {
    const unknown = pages.flatMap((page) =>
      [...readText(page).matchAll(/`((?:src|scripts|test|contracts|docs|bench|ignition)\/[\w./-]+\.\w+)`/g)]
        .map(([, path = ""]) => path)
        .filter((path) => !files.includes(path))
        .map((path) => `${page}: ${path}`),
    );
    expect(unknown).to.deep.equal([]);
  });
});

describe("README.md and docs", () => {
  it("name only identifiers that the code has", () => {
    const code = files.filter((path) => /^(?:src|contracts|test\/clients)\/|^package\.json$/.test(path)).map(readText);
    const words = new Set(code.flatMap((text) => text.match(/\w+/g) ?? []));
    const unknown = pages
      .filter((page) => /^(?:README\.md|docs\/.+)$/.test(page))
      .flatMap((page) => identifiersIn(readText(page)).map((name) => [page, name] as const))
      .filter(([, name]) => !words.has(name))
      .map(([page, name]) => `${page}: ${name}`);
    expect(unknown).to.deep.equal([]);
  });
});

describe("docs/architecture.md", () => {
  it("names only places that exist, also where it leaves out src/ and .ts", () => {
    const tokens = [
      ...readText("docs/architecture.md").matchAll(/`([\w-]+(?:\/[\w.<>-]+)+\/?)`|^ *([\w-]+\/[\w/-]+) {2}/gm),
    ];
    const named = tokens.map(([, inText, inDrawing]) => inText ?? inDrawing ?? "");
    expect(named.length).to.be.greaterThan(40);
    expect(named.filter((token) => !isPlace(token))).to.deep.equal([]);
  });
});

describe("SECURITY.md", () => {
  it("names for each attack a test that exists", () => {
    const rows = readText("SECURITY.md").match(/^\| (?!Attacker).*\|$/gm) ?? [];
    const paths = rows.map((row) => [...row.matchAll(/`(test\/[\w./-]+\.test\.ts)`/g)].map(([, path = ""]) => path));
    expect(rows.length).to.be.greaterThan(10);
    expect(rows.filter((_, index) => paths[index]?.length === 0)).to.deep.equal([]);
    expect(paths.flat().filter((path) => !files.includes(path))).to.deep.equal([]);
  });
});

/** Names in capitals and small letters, alone or called, in code spans outside code blocks. */
function identifiersIn(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/`([A-Za-z]+[a-z]\w*)(?:\([^`]*\))?`/g)]
    .map(([, name = ""]) => name)
    .filter((name) => /[a-z][A-Z]/.test(name));
}

/** Targets of inline links and images outside code blocks. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(<?([^)>\s]+)>?(?:\s+"[^"]*")?\)/g)].map(([, target = ""]) => target);
}

function exists(page: string, link: string): boolean {
  const [target = "", anchor] = link.split("#");
  const path = target === "" ? page : posix.join(posix.dirname(page), target).replace(/\/$/, "");
  const known = files.includes(path) || files.some((file) => file.startsWith(`${path}/`));
  if (!known || anchor === undefined || !path.endsWith(".md")) return known;
  return headingsOf(readText(path)).includes(anchor);
}

/** Of `src/chain/<verb-noun>.ts` the folder has to exist. */
function isPlace(token: string): boolean {
  const path = token.replace(/[^/]*<.*$/, "").replace(/\/$/, "");
  return [path, `src/${path}`].some((place) =>
    files.some((file) => file === place || file === `${place}.ts` || file.startsWith(`${place}/`)),
  );
}

/** Anchors as GitHub makes them. */
function headingsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}
