import { createHash } from "node:crypto";
import { expect } from "chai";
import { readPlanFile, writePlanFile } from "../../../../../src/prune/plan-file.ts";
import { planPrune } from "../../../../../src/prune/plan-prune.ts";
import { allowedHash, allowlistUse, cvm, hashNumber, keepRulesWith } from "../../../../support/prune/allowlist-use.ts";

const web = cvm("web");
/** One row of every kind. */
const plan = planPrune(
  allowlistUse({
    allowed: [...[1, 2, 3, 4, 5, 6, 7].map(allowedHash), { composeHash: hashNumber(99), added: undefined }],
    running: [{ composeHash: hashNumber(1), cvm: web }],
    movingTo: [{ composeHash: hashNumber(2), cvm: web }],
    prepared: [{ composeHash: hashNumber(3), cvm: web, expiresAt: "2026-12-01T00:00:00Z" }],
    unknowns: [{ kind: "prepare-tokens", problem: "The cloud did not answer." }],
  }),
  keepRulesWith({
    keep: 2,
    olderThanSeconds: 60,
    pins: [{ composeHash: hashNumber(4), source: "--pin" }],
    queued: [{ source: "safe.json", composeHashes: [hashNumber(5)] }],
    acceptedUnknowns: ["prepare-tokens"],
  }),
);
const only = planPrune(allowlistUse({ allowed: [allowedHash(1)] }), keepRulesWith());

function problemOf(text: string): string | undefined {
  const reading = readPlanFile(text);
  return "problem" in reading ? reading.problem : undefined;
}

/** The file's object after a change, as text. */
function edited(change: (body: Record<string, unknown>) => void): string {
  const body = JSON.parse(writePlanFile(plan));
  change(body);
  return JSON.stringify(body);
}

/** As `edited`, with the digest of the changed body, as an attacker who knows the format writes it. */
function forged(change: (body: Record<string, unknown>) => void): string {
  const { digest: _, ...body } = JSON.parse(writePlanFile(plan));
  change(body);
  return JSON.stringify({ ...body, digest: createHash("sha256").update(JSON.stringify(body)).digest("hex") });
}

describe("a plan's file", () => {
  it("is read back as the same plan, with every kind of reason", () => {
    expect(readPlanFile(writePlanFile(plan))).to.deep.equal({ plan });
    expect(readPlanFile(writePlanFile(only))).to.deep.equal({ plan: only });
    expect(new Set(plan.rows.flatMap(({ reasons }) => reasons.map(({ rule }) => rule))).size).to.equal(7);
  });

  it("is accepted with another indentation", () => {
    expect(readPlanFile(JSON.stringify(JSON.parse(writePlanFile(plan))))).to.deep.equal({ plan });
  });

  it("is refused when a verdict, a policy or an address was changed by hand", () => {
    const changes: ((body: Record<string, unknown>) => void)[] = [
      (body) => Object.assign((body.rows as Record<string, unknown>[])[0] ?? {}, { verdict: "remove", reasons: [] }),
      (body) => Object.assign(body.policy as object, { keep: 0 }),
      (body) => Object.assign(body, { appId: `0x${"a1".repeat(20)}` }),
      (body) => Object.assign(body, { unknowns: [] }),
      (body) => (body.rows as unknown[]).pop(),
      (body) => Object.assign(body, { extra: true }),
      (body) => Reflect.deleteProperty(body, "digest"),
    ];
    for (const change of changes) expect(problemOf(edited(change)), String(change)).to.include("changed");
  });

  it("keeps the unknown facts, and that the plan may not be carried out", () => {
    const open = planPrune(
      allowlistUse({ allowed: [allowedHash(1)], unknowns: [{ kind: "history", problem: "Blocks were not read." }] }),
      keepRulesWith({ acceptedUnknowns: ["prepare-tokens"] }),
    );
    expect(open.isExecutable).to.equal(false);
    expect(readPlanFile(writePlanFile(open))).to.deep.equal({ plan: open });
  });

  it("is refused when a part is invalid, even with a correct digest", () => {
    expect(problemOf(forged(() => {}))).to.equal(undefined);
    const row = (body: Record<string, unknown>) => (body.rows as Record<string, unknown>[])[0] ?? {};
    const changes: ((body: Record<string, unknown>) => void)[] = [
      (body) => Object.assign(body.policy as object, { keep: -1 }),
      (body) => Object.assign(body.policy as object, { olderThanSeconds: -1 }),
      (body) => Object.assign(body.policy as object, { acceptedUnknowns: ["everything"] }),
      (body) => Reflect.deleteProperty(body.policy as object, "mayEmptyList"),
      (body) => Object.assign(body, { chainId: 0 }),
      (body) => Object.assign(body, { appId: "0x12" }),
      (body) => Object.assign(body, { owner: "none" }),
      (body) => Object.assign(body.pinned as object, { hash: "0x12" }),
      (body) => Object.assign(row(body), { verdict: "perhaps" }),
      (body) => Object.assign(row(body), { composeHash: "0x12" }),
      (body) => Object.assign(row(body), { reasons: [{ rule: "liked" }] }),
      (body) => Object.assign(body, { extra: true }),
    ];
    for (const change of changes) expect(problemOf(forged(change)), String(change)).to.include("malformed");
  });

  it("is refused when it is another kind of file, or has another version", () => {
    for (const text of ["", "{", "null", "[]", '{"transactions":[]}', "0x1234"]) {
      expect(problemOf(text), text).to.include("not a prune plan");
    }
    expect(problemOf(edited((body) => Object.assign(body, { version: 2 })))).to.include("version 2");
  });
});
