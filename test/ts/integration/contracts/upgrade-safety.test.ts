import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type ProjectReport, validateUpgradeSafety } from "@openzeppelin/upgrades-core";
import { expect } from "chai";
import { artifacts } from "hardhat";

// OpenZeppelin's own check of Hardhat's compiler output. Unlike the plain storage layout, it covers
// the ERC-7201 namespaces of the parents, and finds code that is unsafe behind a proxy.

describe("upgrade safety", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "dstack-upgrade-safety-"));
  });
  after(() => rmSync(directory, { recursive: true }));

  for (const [contract, reference] of [
    ["DstackApp", "DstackAppV054"],
    ["DstackApp", "DstackAppV059"],
    ["DstackKms", "DstackKmsV054"],
    ["DstackKms", "DstackKmsV059"],
    ...["BatchApp", "EnumerableApp", "NoticePeriodApp", "ExtendedDstackApp", "RatedApp"].flatMap((contract) =>
      ["DstackAppV054", "DstackAppV059", "DstackApp"].map((reference) => [contract, reference] as const),
    ),
  ] as const)
    it(`holds for ${contract} upgraded from ${reference}`, async () => {
      const report = await validate({ contract, reference });
      expect(report.ok, report.explain(false)).to.equal(true);
    });

  it("fails for the shifted layout, whose app would lose its policy", async () => {
    const report = await validate({ contract: "DstackApp", reference: "AppAuthV042" });
    expect(report.ok).to.equal(false);
    expect(report.explain(false)).to.include("AppIdSlot: Deleted `appId`");
  });

  it("fails for the first KMS, which would lose its apps and their code", async () => {
    const report = await validate({ contract: "DstackKms", reference: "KmsAuthV042" });
    expect(report.ok).to.equal(false);
    expect(findings(report).join("\n")).to.include("`apps`").and.to.include("`appAuthImplementation`");
  });

  it("fails for an upgrade between unrelated contracts", async () => {
    const report = await validate({ contract: "DstackApp", reference: "DstackKmsV054" });
    expect(report.ok).to.equal(false);
  });

  it("fails for a downgrade, which would lose state", async () => {
    const report = await validate({ contract: "DstackAppV054", reference: "DstackApp" });
    expect(report.ok).to.equal(false);
  });

  /** The first line of each finding, without its position. */
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
