import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { type Address, getAddress, type Hex, keccak256 } from "viem";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readAllowlist, readOwnership } from "../../../../src/chain/read-app.ts";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import type { JsonObject } from "../../../../src/core/json.ts";
import {
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  setAllowAnyDeviceCall,
  upgradeCall,
} from "../../../../src/core/owner-calls.ts";
import type { ChangePlan } from "../../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../../src/plans/create-change-plan.ts";
import { digestOf } from "../../../../src/plans/plan-body.ts";
import { loadPlan, savePlan } from "../../../../src/plans/plan-file.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deploySafe, deployTimelock, executeSafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const [first, second] = [parseComposeHash("a1".repeat(32)), parseComposeHash("a2".repeat(32))];
const deviceId = parseDeviceId("d1".repeat(32));
const osImage: Hex = `0x${"05".repeat(32)}`;

interface PlanJson {
  readonly outcome: string;
  readonly digest: Hex;
  readonly appliedBy: readonly Hex[] | null;
  readonly objections: readonly { readonly kind: string; readonly problem: string }[];
  readonly transactions: readonly { readonly transactionHash: Hex }[];
  readonly error: {
    readonly code: string;
    readonly context: { readonly objections: readonly { readonly kind: string; readonly problem: string }[] };
  };
}

describe("tasks dstack plan", () => {
  let world: World;
  let appId: AppId;
  let directory: string;
  let untouched: string;
  before(async () => {
    world = await startWorld();
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = world.cvms.onChain.appId;
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
    directory = await mkdtemp(join(tmpdir(), "dstack-plans-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
    await world.restore(untouched);
  });
  after(() => world.close());

  const file = () => join(directory, "plan.json");
  const run = async (task: string, args: Record<string, unknown> = {}, dstack = {}): Promise<TaskRun> => {
    const hre = await projectOf(world, { apps: { shop: appId }, kms: world.contracts.kms, ...dstack });
    const sends = !["plan show", "plan check"].includes(task);
    const paying = sends ? { yes: true, ledger: join(directory, "ledger.sqlite") } : {};
    return runTask(hre, task.split(" "), { json: true, ...paying, ...args });
  };
  const write = async (task: string, args: Record<string, unknown>) => {
    const planned = await run(task, { plan: file(), ...args });
    expect(planned.exitCode, planned.stdout).to.equal(0);
    return planned.json<PlanJson>();
  };
  const check = (dstack = {}) => run("plan check", { file: file() }, dstack);
  const apply = (args = {}, dstack = {}) => run("plan apply", { file: file(), ...args }, dstack);
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
  const isAllowed = async (composeHash: typeof first, app = appId) =>
    (await readAllowlist(world.ownerClient, { appId: app, composeHash })).composeHashAllowed;
  const send = (calls: readonly OwnerCall[]) => sendBatch(world.ownerClient, { calls, mode: "none" });
  /** Applies the plan, and expects an error with this code and objections of these kinds. */
  const expectRefused = async (kinds: readonly string[], problem: string, dstack = {}) => {
    const block = await head();
    const checked = await check(dstack);
    expect([checked.exitCode, checked.json<PlanJson>().outcome], checked.stdout).to.deep.equal([6, "overtaken"]);
    const { error } = (await apply({}, dstack)).json<PlanJson>();
    expect(error.code).to.equal("DSTK-5006");
    expect(error.context.objections.map(({ kind }) => kind)).to.deep.equal(kinds);
    expect(error.context.objections.map((each) => each.problem).join()).to.include(problem);
    expect(await head()).to.equal(block);
  };
  /** Changes the plan's file as somebody does who knows its format. */
  const forge = async (change: (body: Record<string, unknown>) => unknown) => {
    const { digest: _, ...body } = JSON.parse(await readFile(file(), "utf8"));
    change(body);
    await writeFile(file(), JSON.stringify({ ...body, digest: digestOf(body as JsonObject) }));
  };
  const appOf = async (owner: Address) => {
    const { kms } = world.contracts;
    const transactionHash = await deployApp(world.ownerClient, { kms, owner, composeHash: first });
    const functionName = "deployAndRegisterApp";
    return deployedApp(await waitForReceipt(world.ownerClient, { transactionHash, functionName }), { kms });
  };

  it("write a plan and send nothing, show it without a network, apply it once, and tell who applied it", async () => {
    const block = await head();
    const planned = await write("hash add", { hashes: [first, second] });
    expect(await head()).to.equal(block);
    expect(planned).to.include({ outcome: "planned", digest: (await loadPlan(file())).digest });

    const chain = { id: 8453, rpcUrl: "http://127.0.0.1:9" };
    const shown = await runTask(await projectOf({ ...world, chain }), ["plan", "show"], { file: file() });
    expect(shown.exitCode, shown.stderr).to.equal(0);
    for (const text of [
      planned.digest,
      `allow compose hash ${second}`,
      "the operator requested it",
      "ComposeHashAdded",
    ])
      expect(shown.stdout).to.include(text);

    expect((await check()).json()).to.deep.include({ outcome: "ready", objections: [] });
    const applied = (await apply()).json<PlanJson>();
    expect(await isAllowed(second)).to.equal(true);

    const after = await check();
    expect(after.exitCode).to.equal(6);
    const by = applied.transactions.map(({ transactionHash }) => transactionHash);
    expect(after.json()).to.deep.include({ outcome: "applied", appliedBy: by, undone: [] });
    const end = await head();
    // A hash that was removed since is not allowed again by an old plan.
    await send([removeComposeHashCall({ appId, composeHash: second })]);
    const again = await apply();
    expect([again.exitCode, again.json<PlanJson>().outcome]).to.deep.equal([0, "applied"]);
    expect(await head()).to.equal(end + 1n);
    expect(await isAllowed(second)).to.equal(false);
    const undone = `${second} was changed after the plan was made: ComposeHashRemoved in transaction`;
    expect(again.json<{ undone: readonly string[] }>().undone.join()).to.include(undone);
    const { stdout } = await run("plan check", { file: file(), json: false });
    expect(stdout.replaceAll(/\s+/g, " ")).to.include(`But not everything is still as the plan made it: ${undone}`);
    await write("device allow-any", { state: "on" });
    await apply();
    await send([setAllowAnyDeviceCall({ appId, allowAny: false })]);
    const changed = (await check()).json<{ undone: readonly string[] }>().undone.join();
    expect(changed).to.match(/^"allow any device" was changed after the plan was made: AllowAnyDeviceSet in/);
  });

  it("are written by every task that changes something, and each is applied", async () => {
    const heir = devAccount(1).address;
    const { kms } = world.contracts;
    const rows: readonly (readonly [string, Record<string, unknown>, string])[] = [
      ["hash add", { hashes: [first] }, "addComposeHash"],
      ["hash remove", { hashes: [first] }, "removeComposeHash"],
      ["device add", { devices: [deviceId] }, "addDevice"],
      ["device remove", { devices: [deviceId] }, "removeDevice"],
      ["device allow-any", { state: "on" }, "setAllowAnyDevice"],
      ["kms add-os-image", { value: osImage, kms }, "addOsImageHash"],
      ["kms remove-os-image", { value: osImage, kms }, "removeOsImageHash"],
      ["owner transfer", { address: heir }, "transferOwnership"],
    ];
    for (const [task, args, functionName] of rows) {
      await write(task, args);
      const { changes, task: planned } = await loadPlan(file());
      expect([planned, changes.map(({ call }) => call.functionName)]).to.deep.equal([task, [functionName]]);
      const applied = await apply();
      expect(applied.exitCode, `${task}: ${applied.stdout}`).to.equal(0);
    }
    const key = { ownerKey: devPrivateKey(1) };
    const accepted = await run("owner accept", { plan: file() }, key);
    expect(accepted.exitCode, accepted.stdout).to.equal(0);
    const applied = await apply({}, key);
    expect(applied.exitCode, applied.stdout).to.equal(0);
    expect(await readOwnership(world.ownerClient, { appId })).to.include({ owner: heir });
    expect((await check()).json()).to.deep.include({ outcome: "applied" });
  });

  it("are named by a file that exists", async () => {
    for (const task of ["plan show", "plan check", "plan apply"]) {
      expect((await run(task, { file: "" })).json<PlanJson>().error.code).to.equal("DSTK-1007");
      expect((await run(task, { file: file() })).json<PlanJson>().error.code).to.equal("DSTK-5003");
    }
  });

  it("are not written beside --batch, nor for calls that change nothing, nor over another file", async () => {
    const [known] = world.osImages;
    const refused = async (task: string, args: Record<string, unknown>) =>
      (await run(task, { plan: file(), ...args })).json<PlanJson>().error.code;
    expect(await refused("hash add", { hashes: [first], batch: "safe" })).to.equal("DSTK-1007");
    expect(await refused("kms add-os-image", { value: known?.hash })).to.equal("DSTK-2202");
    expect(existsSync(file())).to.equal(false);
    await writeFile(file(), "my notes");
    expect(await refused("hash add", { hashes: [first] })).to.equal("DSTK-5003");
    expect(await readFile(file(), "utf8")).to.equal("my notes");
  });

  it("complete what a killed run signed, and send nothing twice", async () => {
    for (const [composeHash, crash] of [
      [first, { write: 1, when: "after" }],
      [second, { write: 3, when: "before" }],
    ] as const) {
      await write("hash add", { hashes: [composeHash] });
      const start = await head();
      using ledger = openLedger(join(directory, "ledger.sqlite"));
      const calls = [addComposeHashCall({ appId, composeHash })];
      await catchError(
        sendBatch(world.ownerClient, { calls, mode: "none", ledger: crashingLedger(ledger, crash) }),
        Error,
      );
      const applied = await apply();
      expect(applied.exitCode, applied.stdout).to.equal(0);
      expect(await isAllowed(composeHash)).to.equal(true);
      expect(await head()).to.equal(start + 1n);
    }
  });

  it("are refused when a part of them was done, or undone, by another transaction", async () => {
    await write("hash add", { hashes: [first, second] });
    await send([addComposeHashCall({ appId, composeHash: first })]);
    await expectRefused(["effect"], `allow compose hash ${first}`);
    await send([removeComposeHashCall({ appId, composeHash: first })]);
    await expectRefused(["reason"], `${first} was changed after the plan was made: ComposeHashRemoved`);
  });

  it("are refused when a reason no longer holds", async () => {
    await send([addComposeHashCall({ appId, composeHash: first })]);
    await write("hash remove", { hashes: [first] });
    const pinned = { apps: { shop: { address: appId, pins: [first] } } };
    await expectRefused(["reason"], `The configuration pins ${first}.`, pinned);
    const keyless = { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } };
    await expectRefused(["reason", "reason"], "there is no API key", keyless);
  });

  it("are refused on another chain, for another owner and for another generation, whatever a forged file says", async () => {
    await write("hash add", { hashes: [first] });
    const text = await readFile(file(), "utf8");
    const forged = async (change: (body: Record<string, unknown>) => unknown, ...expected: [string[], string]) => {
      await writeFile(file(), text);
      await forge(change);
      await expectRefused(...expected);
    };
    const pinned = { number: "1", hash: `0x${"00".repeat(32)}`, timestamp: "1" };
    const stranger = devAccount(7).address.toLowerCase();
    await forged((body) => Object.assign(body, { chainId: 1 }), ["chain"], "the endpoint serves chain 8453");
    await forged((body) => Object.assign(body, { pinned }), ["chain"], "Block 1 of chain 8453");
    await forged((body) => Object.assign(body.owner as object, { kind: "safe" }), ["owner"], "is a safe, but");
    await forged((body) => Object.assign(body.owner as object, { address: stranger }), ["owner"], "The owner of");
    await forged(
      (body) => Object.assign((body.contracts as object[])[0] ?? {}, { generation: "0.6.5" }),
      ["generation"],
      "is of generation first, and not 0.6.5",
    );
    // The same calls for an app of the same owner: the person who applies it sees another digest and app.
    await writeFile(file(), text.replaceAll(appId, `0x${"0a".repeat(20)}`));
    expect((await apply()).json<PlanJson>().error.code).to.equal("DSTK-5003");
  });

  it("are compared with the CVMs of an update and the code of an upgrade", async () => {
    const implementation = world.contracts.appImplementation;
    const codeHash = keccak256((await world.chain.client.getCode({ address: implementation })) ?? "0x");
    const client = createCloudClient({ apiKey: world.apiKey, baseUrl: world.cloud.baseUrl });
    const { id, name, composeHash } = await getCvm(client, { cvm: world.cvms.onChain?.id ?? "" });
    if (composeHash === undefined) throw new Error("The cloud names no compose hash.");
    await write("hash add", { hashes: [first] });
    const text = await readFile(file(), "utf8");
    const saveWith = async (change: Partial<ChangePlan>) => {
      await writeFile(file(), text);
      await savePlan(file(), createChangePlan({ ...(await loadPlan(file())), ...change }));
    };
    const moved = { id, name, composeHash: first, isAllowed: false };
    const updateWith = (previousComposeHash: typeof first) =>
      saveWith({
        changes: [
          { call: addComposeHashCall({ appId, composeHash: first }), reason: { rule: "update", cvms: [{ id, name }] } },
        ],
        update: { cvms: [{ ...moved, previousComposeHash }] },
      });
    await updateWith(composeHash);
    expect((await check()).json<PlanJson>().objections).to.deep.equal([]);
    await updateWith(second);
    await expectRefused(["reason"], `has ${composeHash}, and not ${second} any more.`);

    const call = upgradeCall({ appId, implementation });
    const upgrade = { implementation, codeHash, previousImplementation: implementation, previousCodeHash: codeHash };
    const upgradeWith = (changed: Partial<typeof upgrade>) =>
      saveWith({
        changes: [{ call, reason: { rule: "upgrade" } }],
        upgrade: { ...upgrade, ...changed, generation: "first", layout: "compatible" },
      });
    await upgradeWith({});
    expect((await check()).json<PlanJson>().objections).to.deep.equal([]);
    await upgradeWith({ codeHash: osImage });
    await expectRefused(["reason"], `The code at ${implementation.toLowerCase()} is not the code of the plan.`);
    await upgradeWith({ previousImplementation: world.contracts.kms });
    await expectRefused(["reason", "reason"], `The app runs ${getAddress(implementation)}`);
  });

  it("cannot control the terminal or add lines to what is shown", async () => {
    await write("hash add", { hashes: [first] });
    await forge((body) =>
      Object.assign(body, { task: "hash add\u001b[2J\nowner     nobody", createdBy: "\u202egnp.exe" }),
    );
    const { stdout } = await run("plan show", { file: file(), json: false });
    expect(stdout)
      .to.include("hash add [2J owner     nobody")
      .and.to.match(/^[\P{C}\n]+$/u);
  });

  it("become the file of a Safe that owns the app, and are found when the Safe has executed them", async () => {
    const { owner, ownerClient } = world;
    const safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
    const app = await appOf(safe);
    await write("hash add", { hashes: [second], app });
    expect(await loadPlan(file())).to.deep.include({ owner: { address: safe.toLowerCase(), kind: "safe" } });
    const block = await head();
    const batch = `safe:${join(directory, "safe.json")}`;
    const prepared = (await apply({ batch })).json<
      PlanJson & { safeTx: { to: Address; data: Hex; operation: number } }
    >();
    expect(prepared).to.include({ mode: "safe", digest: (await loadPlan(file())).digest });
    expect(await head()).to.equal(block);
    await executeSafe(ownerClient, owner, { safe, ...prepared.safeTx });
    expect(await isAllowed(second, app)).to.equal(true);
    expect((await check()).json()).to.deep.include({ outcome: "applied" });
  });

  it("name the next step for a timelock, and the calls for any other contract", async () => {
    const { owner, ownerClient } = world;
    const other = `0x${"c0".repeat(20)}` as const;
    await world.chain.client.setCode({ address: other, bytecode: "0x00" });
    const timelock = await deployTimelock(ownerClient, owner, 172_800n);
    for (const [address, kind] of [
      [timelock, "timelock"],
      [other, "contract"],
    ] as const) {
      const app = await appOf(getAddress(address));
      await write("hash add", { hashes: [second], app });
      const block = await head();
      const { data } = addComposeHashCall({ appId: app, composeHash: second });
      const handed = await apply();
      expect(handed.exitCode, handed.stdout).to.equal(0);
      expect(handed.json<{ calls: readonly object[] }>()).to.deep.include({ outcome: "prepared", mode: kind });
      expect(handed.json<{ calls: readonly object[] }>().calls[0]).to.include({ to: app, data, value: "0" });
      expect(handed.stderr).to.include(kind === "timelock" ? "dstack timelock schedule" : data);
      expect(await head()).to.equal(block);
    }
  });
});
