import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type ProjectReport, validateUpgradeSafety } from "@openzeppelin/upgrades-core";
import { expect } from "chai";
import { artifacts } from "hardhat";

// OpenZeppelin's own judgement, over the compiler output Hardhat left. Unlike the plain storage layout it covers
// the ERC-7201 namespaces of the parents, and looks for code that has no place behind a proxy.

describe("upgrade safety", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "dstack-upgrade-safety-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  it("holds for DstackApp upgraded from the older layout", async () => {
    const report = await validate({ contract: "DstackApp", reference: "DstackAppV1" });
    expect(report.ok, report.explain(false)).to.equal(true);
  });

  // The deployed versions kept 50 spare slots when the app implementation took the first of them. Spare slots only
  // have to stay in place for contracts that inherit this one, and none is deployed.
  it("holds for DstackKms upgraded from the older layout, but for spare slots that end one later", async () => {
    const report = await validate({ contract: "DstackKms", reference: "DstackKmsV1" });
    expect(findings(report)).to.deep.equal(["Layout changed for `__gap` (uint256[50] -> uint256[50])"]);
  });

  it("is denied to an upgrade between unrelated contracts", async () => {
    const report = await validate({ contract: "DstackApp", reference: "DstackKmsV1" });
    expect(report.ok).to.equal(false);
  });

  it("is denied to the way back, which would lose state", async () => {
    const report = await validate({ contract: "DstackKmsV1", reference: "DstackKms" });
    expect(report.ok).to.equal(false);
  });

  /** The first line of each finding, without its place. */
  function findings(report: ProjectReport): string[] {
    return [...report.explain(false).matchAll(/^ +contracts\/\S+: (.+)$/gm)].map((match) => match[1] ?? "");
  }

  async function validate({ contract, reference }: { contract: string; reference: string }): Promise<ProjectReport> {
    const current = await copyBuildInfo(contract);
    const older = await copyBuildInfo(reference);
    return validateUpgradeSafety(current, contract, `${basename(older)}:${reference}`, { requireReference: true }, [
      older,
    ]);
  }

  /** A directory of its own, because Hardhat keeps the output of earlier builds beside the newest. */
  async function copyBuildInfo(contract: string): Promise<string> {
    const copy = join(directory, `build-of-${contract}`);
    mkdirSync(copy, { recursive: true });
    const id = await artifacts.getBuildInfoId(contract);
    if (id === undefined) throw new Error(`${contract} is not compiled.`);
    for (const path of [await artifacts.getBuildInfoPath(id), await artifacts.getBuildInfoOutputPath(id)]) {
      if (path === undefined) throw new Error(`The build output of ${contract} is gone.`);
      copyFileSync(path, join(copy, basename(path)));
    }
    return copy;
  }
});
