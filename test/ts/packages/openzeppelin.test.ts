import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { fetchPinned } from "../../../scripts/npm.mjs";
import { commandOf, filesBelow, root } from "../../../scripts/support/paths.ts";
import { install, link, newest, openWorkshop, run, type Workshop } from "../../support/packages/project.ts";

const contracts = filesBelow("contracts", ".sol").filter((path) => !path.startsWith("contracts/mocks/"));
// Without the optimizer, because this test only checks that the contracts compile.
const files = {
  "package.json": '{ "private": true, "type": "module" }',
  "src/All.sol": `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;
${contracts.map((path) => `import "dstack-toolkit/${path}";`).join("\n")}
`,
  "hardhat.config.ts": `import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";
const path = createRequire(import.meta.url).resolve("solc/soljson.js");
export default defineConfig({
  solidity: { version: "${newest.solc}", path, settings: { evmVersion: "cancun" } },
  paths: { sources: "src" },
});
`,
  "foundry.toml": `[profile.default]
src = "src"
out = "out"
libs = ["node_modules"]
remappings = ["@openzeppelin/=node_modules/@openzeppelin/", "dstack-toolkit/=node_modules/dstack-toolkit/"]
solc = "./solc"
offline = true
evm_version = "cancun"
`,
};

describe("the contracts", function () {
  this.timeout(5 * 60_000);
  let workshop: Workshop;
  before(() => {
    workshop = openWorkshop();
  });
  after(() => workshop.remove());

  for (const version of ["5.0.2", "5.4.0", newest["@openzeppelin/contracts"] ?? ""])
    it(`compile with OpenZeppelin ${version}, by Hardhat and by forge`, () => {
      const project = workshop.create(`openzeppelin-${version}`, files);
      const openzeppelin = ["contracts", "contracts-upgradeable"].map((name) => `@openzeppelin/${name}@${version}`);
      install(project, workshop.tarball, ...openzeppelin);
      link(project, "hardhat", "solc");
      run(project, [process.execPath, commandOf("hardhat", "hardhat"), "build"]);
      expect(existsSync(join(project, "artifacts/build-info"))).to.equal(true);

      copyFileSync(join(root, "scripts/solc"), join(project, "solc"));
      run(project, [fetchPinned("forge") ?? "", "build"]);
      expect(existsSync(join(project, "out/DstackKms.sol/DstackKms.json"))).to.equal(true);
    });
});
