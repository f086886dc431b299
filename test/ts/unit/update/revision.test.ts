import { expect } from "chai";
import { type AppCompose, buildAppCompose, changeAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../../src/core/compose-hash.ts";
import { RevisionNotReproducibleError } from "../../../../src/errors/index.ts";
import { changesToRevision } from "../../../../src/update/revision.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n`;
const current = buildAppCompose({
  ...{ dockerCompose: compose("2"), preLaunchScript: "#!/bin/sh\necho 2\n" },
  ...{ allowedEnvs: ["TOKEN", "MODE"], publicLogs: false },
});
const revisionOf = (document: AppCompose) => ({ id: "rev_1", document, composeHash: computeComposeHash(document) });

describe("changesToRevision", () => {
  it("sets the fields that differ, and the result has the revision's hash", () => {
    const document = buildAppCompose({ dockerCompose: compose("1"), allowedEnvs: ["TOKEN"] });
    const { provenComposeHash, ...changes } = changesToRevision(current, revisionOf(document));
    expect(changes).to.deep.include({
      ...{ dockerCompose: compose("1"), preLaunchScript: "", allowedEnvs: ["TOKEN"], publicLogs: true },
      ...{ publicSysinfo: undefined, publicTcbinfo: undefined },
    });
    expect(computeComposeHash(changeAppCompose(current, changes))).to.equal(computeComposeHash(document));
    expect(provenComposeHash).to.equal(computeComposeHash(document));
  });

  for (const [what, change, fields] of [
    ["a field that no update sets", { features: ["kms"] }, ["features"]],
    ["a field that the revision lacks", { public_logs: undefined }, ["public_logs"]],
    ["the names in another order, which an update keeps", { allowed_envs: ["MODE", "TOKEN"] }, ["allowed_envs"]],
  ] as const)
    it(`refuses a revision that differs in ${what}`, async () => {
      const document = { ...current, ...change };
      const error = await catchError(
        (async () => changesToRevision(current, revisionOf(document)))(),
        RevisionNotReproducibleError,
      );
      expect(error.context.fields).to.deep.equal(fields);
    });

  it("refuses a revision whose hash belongs to another form of the same document", async () => {
    const { composeHash } = revisionOf({ ...current, name: "other" });
    const error = await catchError(
      (async () => changesToRevision(current, { id: "rev_1", document: current, composeHash }))(),
      RevisionNotReproducibleError,
    );
    expect(error.context.fields).to.deep.equal([]);
    expect(error.message).to.include("in another form");
  });
});
