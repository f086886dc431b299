import { expect } from "chai";
import hre from "hardhat";
import { type PackageManifest, readJson, readText, repositoryFiles } from "../../../support/repository/files.ts";

// Both runners and `ignition deploy` must test and ship the same bytecode, so every number that shapes it, or the depth
// of a test run, has one value.

/** The tables of foundry.toml that use only strings, numbers, booleans and lists of them. */
function readFoundryConfig(): Map<string, unknown> {
  const values = new Map<string, unknown>();
  let table = "";
  for (const line of readText("foundry.toml").split("\n")) {
    table = /^\[(.+)\]$/.exec(line)?.[1] ?? table;
    const [, key, value] = /^(\w+) = (.+)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined && !value.includes("{"))
      values.set(`${table}.${key}`, JSON.parse(value));
  }
  return values;
}

describe("compiler settings", () => {
  const foundry = readFoundryConfig();
  const { version } = readJson<{ version: string }>("node_modules/solc/package.json");

  it("name the compiler that package.json pins", () => {
    expect(readJson<PackageManifest>("package.json").devDependencies.solc).to.equal(version);
    expect(foundry.get("profile.default.solc")).to.equal("./scripts/solc");
    expect(readText("scripts/solc")).to.include('import solc from "solc"');
  });

  for (const profile of ["default", "production"]) {
    it(`of Hardhat's ${profile} profile equal Foundry's`, () => {
      const compilers = hre.config.solidity.profiles[profile]?.compilers ?? [];
      expect(compilers).to.have.length(1);
      const [compiler] = compilers;
      expect(compiler?.version).to.equal(version);
      expect(compiler?.path).to.match(/node_modules.solc.soljson\.js$/);
      expect(hre.config.solidity.profiles[profile]?.overrides).to.deep.equal({});
      const { optimizer, evmVersion, metadata, viaIR } = compiler?.settings ?? {};
      expect({ optimizer, evmVersion, metadata, viaIR: viaIR ?? false }).to.deep.equal({
        optimizer: {
          enabled: foundry.get("profile.default.optimizer"),
          runs: foundry.get("profile.default.optimizer_runs"),
        },
        evmVersion: foundry.get("profile.default.evm_version"),
        metadata: { bytecodeHash: foundry.get("profile.default.bytecode_hash") },
        viaIR: foundry.get("profile.default.via_ir") ?? false,
      });
    });
  }

  it("satisfy every pragma", () => {
    const wrong = repositoryFiles()
      .filter((path) => path.endsWith(".sol") && !path.startsWith("test/support/projects/"))
      .filter((path) => !/^pragma solidity \^?0\.8\.\d+;$/m.test(readText(path)));
    expect(wrong).to.deep.equal([]);
  });
});

describe("Solidity test settings", () => {
  const foundry = readFoundryConfig();
  const { fuzz, invariant } = hre.config.test.solidity.profiles.default ?? {};

  it("run equally deep, with one seed, under both runners", () => {
    expect({
      fuzzRuns: fuzz?.runs,
      fuzzSeed: fuzz?.seed,
      invariantRuns: invariant?.runs,
      invariantDepth: invariant?.depth,
      failOnRevert: invariant?.failOnRevert,
    }).to.deep.equal({
      fuzzRuns: foundry.get("profile.default.fuzz.runs"),
      fuzzSeed: foundry.get("profile.default.fuzz.seed"),
      invariantRuns: foundry.get("profile.default.invariant.runs"),
      invariantDepth: foundry.get("profile.default.invariant.depth"),
      failOnRevert: foundry.get("profile.default.invariant.fail_on_revert"),
    });
    expect(fuzz?.runs).to.be.a("number");
    expect(foundry.get("profile.default.fuzz.seed")).to.be.a("string");
    expect(invariant?.depth).to.be.a("number");
  });

  it("name the same folders", () => {
    expect(hre.config.paths.tests.solidity.replaceAll("\\", "/")).to.match(
      new RegExp(`/${foundry.get("profile.default.test")}$`),
    );
    expect(foundry.get("profile.default.src")).to.equal("contracts");
  });
});
