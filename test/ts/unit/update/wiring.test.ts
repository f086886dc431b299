import { expect } from "chai";
import { readText, repositoryFiles } from "../../../support/repository/files.ts";
import { importsOf } from "../../../support/repository/imports.ts";

// What connects the flow with the real chain, the cloud and the ledger, and what passes their types through. Everything
// else speaks to ports, so it can be simulated.
const connectors = [
  "connect.ts",
  "connect-payments.ts",
  "index.ts",
  "plan-update.ts",
  "ports.ts",
  "prepare-update.ts",
  "progress.ts",
  "revision.ts",
].map((name) => `src/update/${name}`);

describe("the update flow", () => {
  it("uses chain and cloud only through its ports", () => {
    const files = repositoryFiles().filter((path) => path.startsWith("src/update/") && path.endsWith(".ts"));
    const wrong = files
      .filter((path) => !connectors.includes(path))
      .flatMap((path) => importsOf(path, readText(path)).map(({ target }) => ({ path, target })))
      .filter(({ target }) => /^src\/(?:chain|cloud)\//.test(target) || target.startsWith("viem"));
    expect(wrong).to.deep.equal([]);
    expect(files).to.include.members(connectors);
  });
});
