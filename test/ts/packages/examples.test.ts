import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { expect } from "chai";
import { fetchPinned } from "../../../scripts/npm.mjs";
import { root } from "../../../scripts/support/paths.ts";
import { findPython, installPythonPackage } from "../../clients/install/python-package.ts";
import { install, link, newest, openWorkshop, run, type Workshop } from "../../support/packages/project.ts";

const jestTest = `import { expect, test } from "@jest/globals";
import { startWorld } from "dstack-toolkit/world";

test("a world starts", async () => {
  const world = await startWorld();
  expect(await world.chain.client.getChainId()).toBe(8453);
  await world.close();
}, 60_000);
`;

// Each example as its README says, with the packed toolkit. examples/hardhat runs in test/ts/e2e/package.test.ts.
describe("examples", function () {
  this.timeout(5 * 60_000);
  let workshop: Workshop;
  before(() => {
    workshop = openWorkshop();
  });
  after(() => workshop.remove());
  const openzeppelin = ["contracts", "contracts-upgradeable"];

  it("foundry: with npm, and with lib/", () => {
    const project = workshop.create("foundry", { copyOf: "examples/foundry" });
    const forgeTest = (profile: string) =>
      run(project, [fetchPinned("forge") ?? "", "test", "--offline", "--use", "./solc"], { FOUNDRY_PROFILE: profile });
    install(
      project,
      workshop.tarball,
      ...openzeppelin.map((name) => `@openzeppelin/${name}@${newest[`@openzeppelin/${name}`]}`),
    );
    link(project, "solc");
    copyFileSync(join(root, "scripts/solc"), join(project, "solc"));
    expect(forgeTest("default")).to.include("2 tests passed, 0 failed");

    const modules = join(project, "node_modules");
    mkdirSync(join(project, "lib"));
    for (const name of openzeppelin) {
      const library = join(project, "lib", `openzeppelin-${name}`);
      cpSync(join(modules, "@openzeppelin", name), join(library, "contracts"), { recursive: true });
    }
    cpSync(join(modules, "dstack-toolkit"), join(project, "lib/dstack-toolkit"), { recursive: true });
    expect(forgeTest("lib")).to.include("2 tests passed, 0 failed");
  });

  it("vitest, with @phala/cloud; and a world under Jest", () => {
    const project = workshop.create("vitest", { copyOf: "examples/vitest" });
    install(project, workshop.tarball, "jest@30.5.2");
    expect(run(project, [process.execPath, "node_modules/vitest/vitest.mjs", "run"])).to.match(/Tests\s+1 passed/);

    writeFileSync(join(project, "jest.config.js"), "export default { transform: {}, testEnvironment: 'node' };\n");
    writeFileSync(join(project, "world.test.js"), jestTest);
    const jest = ["--experimental-vm-modules", "node_modules/jest/bin/jest.js", "world.test.js"];
    // A cache folder of its own, as on a machine that never started a world.
    run(project, [process.execPath, ...jest], { XDG_CACHE_HOME: join(project, "caches") });
  });

  it("pytest, over dstack up --json", async () => {
    const project = workshop.create("pytest", { copyOf: "examples/pytest" });
    install(project, workshop.tarball);
    // schemathesis, which the clients stage installs as well, comes with pytest.
    const { python } = await installPythonPackage((await findPython()) ?? "python3", "schemathesis-4.32.5");
    const path = [dirname(process.execPath), process.env.PATH].join(delimiter);
    const only = ["-p", "no:cacheprovider", "--disable-plugin-autoload"];
    expect(run(project, [python, "-m", "pytest", ...only], { PATH: path })).to.include("2 passed");
  });
});
