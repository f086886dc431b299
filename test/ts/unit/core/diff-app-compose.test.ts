import { expect } from "chai";
import fc from "fast-check";
import { computeComposeHash } from "../../../../src/core/compose-hash.ts";
import { diffAppCompose } from "../../../../src/core/hash-mismatch.ts";
import { arbitraryAppCompose } from "../../../support/arbitrary-app-compose.ts";

const runner = "docker-compose";

describe("diffAppCompose", () => {
  it("names added, removed and changed fields, in order", () => {
    const before = { runner, name: "a", features: ["kms"], public_logs: true };
    const after = { runner, name: "b", public_logs: true, allowed_envs: [] };
    expect(diffAppCompose(before, after)).to.deep.equal([
      { field: "allowed_envs", before: undefined, after: [] },
      { field: "features", before: ["kms"], after: undefined },
      { field: "name", before: "a", after: "b", firstDifferingLine: { number: 1, before: "a", after: "b" } },
    ]);
  });

  const texts: readonly [string, string, string, unknown][] = [
    ["a changed line", "a\nb\nc\n", "a\nx\nc\n", { number: 2, before: "b", after: "x" }],
    ["an added line", "a\n", "a\nb\n", { number: 2, before: undefined, after: "b" }],
    ["a missing line", "a\nb\n", "a\n", { number: 2, before: "b", after: undefined }],
    ["an added empty line", "a\nb\n", "a\n\nb\n", { number: 2, before: "b", after: "" }],
    ["a missing newline at the end", "a\n", "a", { number: 2, before: "", after: undefined }],
    ["an added newline at the end", "a", "a\n", { number: 2, before: undefined, after: "" }],
    ["other line ends", "a\nb\n", "a\r\nb\r\n", { number: 1, before: "a", after: "a\r" }],
  ];
  for (const [what, before, after, firstDifferingLine] of texts) {
    it(`points at ${what}`, () => {
      const documents = [before, after].map((docker_compose_file) => ({ runner, docker_compose_file }));
      const [difference] = diffAppCompose(documents[0] ?? {}, documents[1] ?? {});
      expect(difference?.firstDifferingLine).to.deep.equal(firstDifferingLine);
    });
  }

  it("ignores fields that are not hashed, and reports another order of names", () => {
    expect(diffAppCompose({ runner, pre_launch_script: "" }, { runner, bash_script: "x" })).to.deep.equal([]);
    expect(diffAppCompose({ x: { a: 1, b: 2 } }, { x: { b: 2, a: 1 } })).to.deep.equal([]);
    expect(diffAppCompose({ allowed_envs: ["A", "B"] }, { allowed_envs: ["B", "A"] })).to.have.length(1);
    expect(diffAppCompose({ name: null }, {})).to.deep.equal([{ field: "name", before: null, after: undefined }]);
  });

  it("is empty exactly when the hashes are equal", () => {
    fc.assert(
      fc.property(arbitraryAppCompose, arbitraryAppCompose, fc.boolean(), (before, other, isCopy) => {
        const after = isCopy ? structuredClone(before) : other;
        const isSameHash = computeComposeHash(before) === computeComposeHash(after);
        expect(diffAppCompose(before, after).length === 0).to.equal(isSameHash);
      }),
    );
  });
});
