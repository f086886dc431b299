import { expect } from "chai";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";

const files = repositoryFiles();

describe("files of the repository", () => {
  it("hold no private key, except those of well-known test accounts", () => {
    const wrong = texts().filter(([, text]) => /BEGIN (?:[A-Z]+ )?PRIVATE KEY|\bphak_[A-Za-z0-9_-]{20,}/.test(text));
    expect(wrong.map(([path]) => path)).to.deep.equal([]);
  });

  it("are not written by a build", () => {
    expect(files.filter((path) => /^(?:artifacts|cache|dist|types|coverage|node_modules)\//.test(path))).to.deep.equal(
      [],
    );
  });

  it("are run as tests exactly when they are named like tests", () => {
    const strays = files.filter(
      (path) =>
        (path.startsWith("test/ts/") && !/^test\/ts\/(?:unit|integration|e2e|packages)\/.+\.test\.ts$/.test(path)) ||
        (path.startsWith("test/contracts/") && !/\.(?:sol|md|tree)$/.test(path)) ||
        (/\.(?:test\.ts|t\.sol)$/.test(path) && !/^(?:test\/(?:ts|contracts|support\/projects)|examples)\//.test(path)),
    );
    expect(strays).to.deep.equal([]);
  });

  it("have no marks of unfinished work", () => {
    const marks = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`);
    expect(
      texts()
        .filter(([, text]) => marks.test(text))
        .map(([path]) => path),
    ).to.deep.equal([]);
  });

  function texts(): [string, string][] {
    return files
      .filter((path) => path !== "package-lock.json" && !/\.(?:png|jpg|ico|woff2?)$/.test(path))
      .map((path) => [path, readText(path)]);
  }
});
