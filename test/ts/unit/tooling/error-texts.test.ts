import { expect } from "chai";
import { proseOf } from "../../../../scripts/support/prose.ts";
import { operatorTerms, toOperatorTerms } from "../../../../src/commands/operator-terms.ts";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";

// The layers below the commands. Their errors and findings name parameters and functions; the commands translate them.
const layers = [
  "errors",
  "core",
  "files",
  "chain",
  "cloud",
  "update",
  "batch",
  "history",
  "prune",
  "plans",
  "governance",
  "rehearsal",
  "output",
  "world",
  "testing",
];
const sources = repositoryFiles().filter((path) => layers.some((layer) => path.startsWith(`src/${layer}/`)));

/** Every string of several words, as it is shown. */
function textsOf(path: string, source: string): readonly { readonly path: string; readonly text: string }[] {
  return proseOf(path, source)
    .filter(({ kind }) => kind === "messages")
    .map(({ text }) => ({ path, text: text.replaceAll("\\`", "`") }));
}

const libraryOnly = ["allowedEnvs", "buildTimelockBatch"];

const texts = sources.flatMap((path) => textsOf(path, readText(path)));
const operatorWords =
  /(?:^|[^\w-])--[a-z]|\b(?:dstack|hardhat) (?:[a-z-]+ )?(?:add|remove|accept|transfer|show|list|allow-any|deploy|undo-delegation)\b|\bin tasks\b/;

/** Names in backticks that stand alone or before a value. */
function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([a-z]\w*[A-Z]?\w*)(?:: [^`]+)?`/g)].map(([, name = ""]) => name);
}

describe("texts of the library", () => {
  it("are found at all", () => {
    const found = textsOf("a.ts", 'give("pass --batch none"); run(`with \\`kms\\` in dstack hash add`); // as --no');
    expect(found.map(({ text }) => text)).to.deep.equal(['"pass --batch none"', "with `kms` in dstack hash add"]);
    expect(found.filter(({ text }) => operatorWords.test(text))).to.have.lengthOf(2);
    expect(texts.length).to.be.greaterThan(500);
  });

  it("name no option and no task", () => {
    // The option of another program.
    const foreign = "git rm --cached";
    const wrong = texts.filter(({ text }) => operatorWords.test(text.replace(foreign, "")));
    expect(wrong).to.deep.equal([]);
  });
});

describe("the terms of the commands", () => {
  it("are for names that the library declares, and that its texts use", () => {
    const code = sources.map(readText).join("\n");
    const used = new Set(texts.flatMap(({ text }) => namesIn(text)));
    for (const name of Object.keys(operatorTerms)) {
      const declares = new RegExp(`\\breadonly ${name}\\??:|\\bfunction ${name}\\b|[(,] *${name}\\??: |"${name}"`);
      expect(declares.test(code), `${name} is declared`).to.equal(true);
      expect(used.has(name), `${name} is used`).to.equal(true);
    }
  });

  it("exist for every name in the texts, apart from those that no command takes", () => {
    const unknown = texts
      .flatMap(({ text }) => namesIn(text))
      .filter((name) => /[A-Z]/.test(name) && !Object.hasOwn(operatorTerms, name));
    expect([...new Set(unknown)].sort()).to.deep.equal(libraryOnly);
  });

  it("replace names and values, and nothing else", () => {
    for (const [text, translated] of [
      ["Pass `acceptKeyEpochs`.", "Pass --accept key-epochs."],
      ["Pass `mode: none`, or `mode: auto`.", "Pass --batch none, or --batch auto."],
      ["Pass `accepted: in-use,pinned`.", "Pass --accept in-use,pinned."],
      ["Again: `addComposeHash: 0x01 0x02 on 0xa0`", "Again: npx hardhat dstack hash add 0x01 0x02 --app 0xa0"],
      ["See `docker compose config` and `constructor`.", "See `docker compose config` and `constructor`."],
    ] as const)
      expect(toOperatorTerms(text)).to.equal(translated);
  });
});
