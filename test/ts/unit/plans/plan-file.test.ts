import { execFileSync } from "node:child_process";
import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import type { JsonObject } from "../../../../src/core/json.ts";
import { addComposeHashCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { InvalidArgumentError, InvalidPlanFileError } from "../../../../src/errors/index.ts";
import { digestOf } from "../../../../src/plans/plan-body.ts";
import { loadPlan, readPlanFile, savePlan, writePlanFile } from "../../../../src/plans/plan-file.ts";
import { arbitraryText } from "../../../support/arbitrary-app-compose.ts";
import { appId, fullPlan, kms, planWith } from "../../../support/plans/change-plan.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

type Change = (body: Record<string, unknown>) => unknown;

function problemOf(text: string): string | undefined {
  const reading = readPlanFile(text);
  return "problem" in reading ? reading.problem : undefined;
}

/** The file's object after a change, as text. */
function edited(change: Change): string {
  const body = JSON.parse(writePlanFile(fullPlan));
  change(body);
  return JSON.stringify(body);
}

/** As `edited`, with the digest of the changed fields, as an attacker who knows the format writes it. */
function forged(change: Change): string {
  const { digest: _, ...body } = JSON.parse(writePlanFile(fullPlan));
  change(body);
  return JSON.stringify({ ...body, digest: digestOf(body as JsonObject) });
}

/** The first call of a file's object. */
function callOf(body: Record<string, unknown>, index = 0): Record<string, unknown> {
  return (body.changes as { call: Record<string, unknown> }[])[index]?.call ?? {};
}

type Path = readonly (string | number)[];

/** The path of every value in a JSON value, of objects and arrays too. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

function parentOf(body: unknown, path: Path): Record<string, unknown> {
  return path.slice(0, -1).reduce((part, key) => Reflect.get(Object(part), key), body) as Record<string, unknown>;
}

describe("a plan's file", () => {
  it("is read back as the same plan, with every kind of reason and every optional part", () => {
    expect(readPlanFile(writePlanFile(fullPlan))).to.deep.equal({ plan: fullPlan });
    const small = planWith();
    expect(readPlanFile(writePlanFile(small))).to.deep.equal({ plan: small });
    const empty = planWith({ changes: [] });
    expect(readPlanFile(writePlanFile(empty))).to.deep.equal({ plan: empty });
  });

  it("is accepted with another indentation", () => {
    expect(readPlanFile(JSON.stringify(JSON.parse(writePlanFile(fullPlan))))).to.deep.equal({ plan: fullPlan });
  });

  it("is read back whatever texts, hashes and numbers it holds", () => {
    const hash = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(
        ...[fc.uniqueArray(hash, { maxLength: 5 }), arbitraryText, arbitraryText, fc.array(arbitraryText)],
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        (hashes, task, note, accepted, number) => {
          const plan = planWith({
            ...{ task, accepted, pinned: { ...fullPlan.pinned, number } },
            changes: hashes.map((each, index) => ({
              call: (index % 2 ? addComposeHashCall : removeComposeHashCall)({ appId, composeHash: hashNumber(each) }),
              reason: index % 4 ? { rule: "requested" } : { rule: "revoked", note },
            })),
          });
          expect(readPlanFile(writePlanFile(plan))).to.deep.equal({ plan });
        },
      ),
    );
  });

  it("is refused after any single change of a field, and no change of a field keeps the digest", () => {
    const body = JSON.parse(writePlanFile(fullPlan));
    const paths = pathsOf(body).filter((path) => path.length > 0);
    expect(paths.length).to.be.greaterThan(300);
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.constant([]),
      fc.constant({}),
    );
    for (const path of paths) {
      const last = path.at(-1) ?? "";
      const without = edited((copy) => Reflect.deleteProperty(parentOf(copy, path), last));
      expect(problemOf(without), `without ${path.join(".")}`).to.be.a("string");
    }
    fc.assert(
      fc.property(fc.constantFrom(...paths), value, (path, other) => {
        const last = path.at(-1) ?? "";
        const present = JSON.stringify(Reflect.get(parentOf(body, path), last));
        fc.pre(present !== JSON.stringify(other));
        expect(problemOf(edited((copy) => Reflect.set(parentOf(copy, path), last, other)))).to.be.a("string");
      }),
      { numRuns: 150 },
    );
  });

  it("is refused when calldata was changed and the description kept, even with a correct digest", () => {
    expect(problemOf(forged(() => {}))).to.equal(undefined);
    const other = addComposeHashCall({ appId, composeHash: hashNumber(4711) });
    const lies: readonly (readonly [Change, string])[] = [
      [(body) => Object.assign(callOf(body, 1), { data: other.data }), "described as something else"],
      [(body) => Object.assign(callOf(body), { description: "allow nothing" }), "described as something else"],
      [(body) => Object.assign(callOf(body), { functionName: "addDevice" }), "described as something else"],
      [(body) => Object.assign(callOf(body), { args: [] }), "described as something else"],
      [(body) => Object.assign(callOf(body).proof as object, { eventNames: [] }), "described as something else"],
      [(body) => Object.assign(callOf(body), { value: "1" }), "described as something else"],
      [(body) => Object.assign(callOf(body), { data: "0x12345678" }), "not a function that this release knows"],
      [(body) => Object.assign(callOf(body), { data: `${callOf(body).data}00` }), "not a function that this release"],
      [(body) => Object.assign(callOf(body, 1), { contract: "kms" }), "not a function that this release knows"],
      [(body) => Object.assign(callOf(body), { to: `0x${"77".repeat(20)}` }), "which the plan does not name"],
      [(body) => (body.changes as unknown[]).reverse(), "not in the order"],
      [(body) => (body.changes as unknown[]).push((body.changes as unknown[])[0]), "twice"],
    ];
    for (const [change, problem] of lies) expect(problemOf(forged(change)), String(change)).to.include(problem);
  });

  it("is refused when its parts contradict each other, even with a correct digest", () => {
    const rows = (body: Record<string, unknown>) => (body.prune as { rows: Record<string, unknown>[] }).rows;
    const lies: readonly (readonly [Change, string])[] = [
      [(body) => Object.assign(body, { appId: `0x${"a1".repeat(20)}` }), "but its contracts say"],
      [(body) => Object.assign(body, { kms: appId }), "but its contracts say"],
      [(body) => Reflect.deleteProperty(body, "kms"), "but its contracts say"],
      [(body) => Object.assign(body, { contracts: [] }), "which the plan does not name"],
      [(body) => Object.assign(rows(body).at(-1) ?? {}, { verdict: "remove" }), "prune rows"],
      [(body) => Reflect.deleteProperty(body, "prune"), "prune rows"],
    ];
    for (const [change, problem] of lies) expect(problemOf(forged(change)), String(change)).to.include(problem);
  });

  it("is refused when a call has the reason of another, even with a correct digest", () => {
    const changes = (body: Record<string, unknown>) =>
      body.changes as { call: Record<string, unknown>; reason: object }[];
    const named = (body: Record<string, unknown>, name: string) =>
      changes(body).find(({ call }) => call.functionName === name);
    const give = (name: string, rule: string) => (body: Record<string, unknown>) =>
      Object.assign(named(body, name) ?? {}, { reason: { rule, ...(rule === "update" && { cvms: [] }) } });
    const lies: readonly Change[] = [
      (body) => Object.assign(body.upgrade as object, { implementation: kms }),
      (body) => Reflect.deleteProperty(body, "upgrade"),
      (body) => Object.assign((body.update as { cvms: object[] }).cvms[0] ?? {}, { composeHash: hashNumber(4711) }),
      (body) => Reflect.deleteProperty(body, "update"),
      give("upgradeToAndCall", "requested"),
      give("upgradeToAndCall", "update"),
      give("setAllowAnyDevice", "update"),
      give("setAllowAnyDevice", "revoked"),
      give("setAllowAnyDevice", "upgrade"),
      give("addDevice", "revoked"),
      (body) => Object.assign(changes(body).at(-1) ?? {}, { reason: { rule: "upgrade" } }),
    ];
    for (const change of lies) expect(problemOf(forged(change)), String(change)).to.include("is not what its reason");
  });

  it("is refused when a part is malformed, even with a correct digest", () => {
    const prune = (body: Record<string, unknown>) => body.prune as { policy: object; rows: object[] };
    const changes: readonly Change[] = [
      (body) => Object.assign(body, { chainId: 0 }),
      (body) => Object.assign(body, { chainId: "8453" }),
      (body) => Object.assign(body, { appId: "0x12" }),
      (body) => Object.assign(body, { createdAt: "yesterday" }),
      (body) => Object.assign(body.owner as object, { kind: "bank" }),
      (body) => Object.assign(body.owner as object, { address: "none" }),
      (body) => Object.assign(body.pinned as object, { hash: "0x12" }),
      (body) => Object.assign(body.pinned as object, { number: -1 }),
      (body) => Object.assign(body, { changes: {} }),
      (body) => Object.assign(callOf(body), { contract: "bank" }),
      (body) => Object.assign(callOf(body), { data: "0x1" }),
      (body) => Object.assign(prune(body).policy, { keep: -1 }),
      (body) => Object.assign(prune(body).policy, { acceptedUnknowns: ["everything"] }),
      (body) => Reflect.deleteProperty(prune(body).policy, "mayEmptyList"),
      (body) => Object.assign(prune(body).rows[0] ?? {}, { reasons: [{ rule: "liked" }] }),
      (body) => Object.assign(body, { extra: true }),
    ];
    for (const change of changes) expect(problemOf(forged(change)), String(change)).to.include("malformed");
  });

  it("is refused when a key is there twice or its keys were sorted", () => {
    const text = writePlanFile(fullPlan);
    const twice = text.replace('"chainId":', '"chainId": 1,\n  "chainId":');
    expect(twice).to.not.equal(text);
    expect(problemOf(twice)).to.include("not written as");
    const escaped = text.replace('"task": "update"', '"task": "\\u0075pdate"');
    expect(problemOf(escaped)).to.include("not written as");
  });

  it("is refused when it is another kind of file, or has another version", () => {
    for (const text of ["", "{", "null", "[]", '{"transactions":[]}', "0x1234", '{"kind":"dstack-prune-plan"}'])
      expect(problemOf(text), text).to.include("not a plan");
    expect(problemOf(edited((body) => Object.assign(body, { schemaVersion: 2 })))).to.include("version 2");
  });

  it("is refused at once when it is nested deeply, wherever that is", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    expect(problemOf(deep)).to.include("not a plan");
    const text = writePlanFile(fullPlan);
    for (const field of ["args", "eventNames", "task", "accepted", "changes", "price"]) {
      const spoilt = text.replace(new RegExp(`"${field}": `), `"${field}": ${deep},\n"${field}_": `);
      expect(spoilt).to.not.equal(text);
      expect(problemOf(spoilt), field).to.be.a("string");
    }
  });
});

describe("createChangePlan", () => {
  it("orders the changes as they are executed and writes addresses in lower case", () => {
    const { changes, contracts } = planWith({
      contracts: [{ contract: "app", address: `0x${"A0".repeat(20)}`, generation: "first" }],
      changes: [
        { call: removeComposeHashCall({ appId, composeHash: hashNumber(1) }), reason: { rule: "revoked" } },
        { call: addComposeHashCall({ appId, composeHash: hashNumber(2) }), reason: { rule: "requested" } },
      ],
    });
    expect(changes.map(({ reason }) => reason.rule)).to.deep.equal(["requested", "revoked"]);
    expect(contracts[0]?.address).to.equal(appId);
  });

  it("gives each plan a digest of its own, and the same plan the same digest", () => {
    expect(planWith().digest).to.equal(planWith().digest);
    expect(planWith().digest).to.match(/^0x[0-9a-f]{64}$/);
    expect(planWith().digest).to.not.equal(planWith({ createdAt: "2026-12-01T06:00:00.001Z" }).digest);
  });

  it("refuses a call for a contract that the plan does not name", () => {
    expect(() => planWith({ contracts: [], changes: fullPlan.changes.slice(0, 1) })).to.throw(InvalidArgumentError);
    expect(() => planWith({ contracts: [{ contract: "kms", address: kms, generation: "first" }] })).to.throw(
      InvalidArgumentError,
      "its kms is not named",
    );
  });
});

describe("loadPlan and savePlan", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "plan.json");

  it("read the plan as it was saved, for this user alone, and overwrite an older one", async () => {
    await savePlan(path(), fullPlan);
    expect(await loadPlan(path())).to.deep.equal(fullPlan);
    expect((await stat(path())).mode & 0o777).to.equal(0o600);
    await writeFile(
      path(),
      edited((body) => Object.assign(body, { task: "other" })),
    );
    await savePlan(path(), planWith());
    expect(await loadPlan(path())).to.deep.equal(planWith());
  });

  it("never overwrite another file", async () => {
    for (const text of ["", "{}", '{"transactions":[]}', "notes"]) {
      await writeFile(path(), text);
      const { context } = await catchError(savePlan(path(), fullPlan), InvalidPlanFileError);
      expect(context).to.include({ path: path() });
      expect(await readFile(path(), "utf8")).to.equal(text);
    }
  });

  it("write no file that is too large to be read again", async () => {
    const reason = { rule: "revoked", note: "x".repeat(17 * 1024 * 1024) } as const;
    const call = removeComposeHashCall({ appId, composeHash: hashNumber(1) });
    const large = planWith({ changes: [{ call, reason }] });
    const { context } = await catchError(savePlan(path(), large), InvalidPlanFileError);
    expect(context.problem).to.include("too large");
    expect((await catchError(loadPlan(path()), InvalidPlanFileError)).context.problem).to.include("no such file");
  });

  it("refuse a file that is missing, too large, a folder, a pipe, or a link to anything but a plan", async () => {
    const problem = async (name: string) =>
      (await catchError(loadPlan(join(directory.path, name)), InvalidPlanFileError)).context.problem;
    await writeFile(path(), "PRIVATE=1\n");
    await symlink(path(), join(directory.path, "link.json"));
    await symlink("/dev/zero", join(directory.path, "endless.json"));
    await mkdir(join(directory.path, "folder"));
    await writeFile(join(directory.path, "large.json"), Buffer.alloc(17 * 1024 * 1024, " "));
    execFileSync("mkfifo", [join(directory.path, "pipe")]);
    expect(await problem("missing.json")).to.include("no such file");
    expect(await problem("large.json")).to.include("16 MiB");
    expect(await problem("folder")).to.include("folder");
    expect(await problem("link.json")).to.equal("it is not a plan");
    expect(await problem("endless.json")).to.include("device");
    expect(await problem("pipe")).to.include("pipe");
    for (const name of ["link.json", "endless.json", "folder", "pipe"])
      await catchError(savePlan(join(directory.path, name), fullPlan), InvalidPlanFileError);
    await catchError(savePlan(join(directory.path, "none", "plan.json"), fullPlan), InvalidPlanFileError);
    expect(await readFile(path(), "utf8")).to.equal("PRIVATE=1\n");
  });
});
