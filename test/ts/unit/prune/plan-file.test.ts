import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { parseAppId } from "../../../../src/core/ids.ts";
import { InvalidPlanFileError } from "../../../../src/errors/index.ts";
import { loadPlan, requirePlanFor, savePlan } from "../../../../src/prune/plan-file.ts";
import { planPrune } from "../../../../src/prune/plan-prune.ts";
import { allowedHash, allowlistUse, keepRulesWith } from "../../../support/prune/allowlist-use.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const plan = planPrune(allowlistUse({ allowed: [1, 2, 3].map(allowedHash) }), keepRulesWith({ keep: 1 }));

describe("a plan in a file", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "plan.json");

  it("is read as it was saved, and written over an older one", async () => {
    expect(await loadPlan(path())).to.equal(undefined);
    await savePlan(path(), plan);
    expect(await loadPlan(path())).to.deep.equal(plan);
    const newer = planPrune(allowlistUse({ allowed: [1, 2].map(allowedHash) }), keepRulesWith({ keep: 2 }));
    await savePlan(path(), newer);
    expect(await loadPlan(path())).to.deep.equal(newer);
  });

  it("never overwrites another file", async () => {
    for (const text of ["", "{}", '{"transactions":[]}', "notes"]) {
      await writeFile(path(), text);
      const { context } = await catchError(savePlan(path(), plan), InvalidPlanFileError);
      expect(context).to.include({ path: path() });
      expect(await readFile(path(), "utf8")).to.equal(text);
    }
  });

  it("is reported when the file cannot be read or written", async () => {
    await mkdir(path());
    await catchError(loadPlan(path()), InvalidPlanFileError);
    await catchError(savePlan(join(directory.path, "none", "plan.json"), plan), InvalidPlanFileError);
  });

  it("is for one app on one chain", () => {
    const { chainId, appId } = plan;
    const other = parseAppId("a1".repeat(20));
    expect(() => requirePlanFor(path(), plan, { chainId, appId })).to.not.throw();
    expect(() => requirePlanFor(path(), plan, { chainId: 1, appId })).to.throw(InvalidPlanFileError, "chain 1");
    expect(() => requirePlanFor(path(), plan, { chainId, appId: other })).to.throw(InvalidPlanFileError, other);
  });
});
