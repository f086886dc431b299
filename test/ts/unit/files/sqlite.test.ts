import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";

// A process of its own, because Node warns once in a process. Node 24 does not warn, so the program warns in its place.
describe("files/sqlite", () => {
  const url = (path: string) => JSON.stringify(pathToFileURL(join(root, path)).href);

  function stderrOf(program: string) {
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    return [status, stderr];
  }

  const getBuiltin = `
    const { getBuiltinModule } = process;
    process.getBuiltinModule = (id) => {
      if (id === "node:sqlite") process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
      if (id === "node:sqlite") process.emitWarning("another one");
      return getBuiltinModule(id);
    };`;

  it("suppresses Node 22's warning about SQLite, and no other", () => {
    const [status, stderr] = stderrOf(`${getBuiltin}
      const { DatabaseSync } = await import(${url("src/files/sqlite.ts")});
      new DatabaseSync(":memory:").close();
      process.emitWarning("SQLite is an experimental feature: said later, by another package");`);
    expect(status).to.equal(0);
    expect(stderr).to.include("another one");
    expect(stderr).to.not.include("might change at any time");
    expect(stderr).to.include("said later");
  });
});
