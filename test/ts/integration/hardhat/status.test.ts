import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { getBlockNumber } from "viem/actions";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseMoment } from "../../../../src/commands/arguments.ts";
import { type AppId, parseComposeHash, type TransactionHash } from "../../../../src/core/ids.ts";
import type { DstackUserConfig } from "../../../../src/hardhat/type-extensions.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { closedPort } from "../../../support/chain/fault-server.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";
import { rewriteRpc } from "../../../support/world/rewriting-rpc.ts";

const newHash = parseComposeHash("1e".repeat(32));

describe("tasks dstack status and dstack history", () => {
  let world: World;
  let appId: AppId;
  let directory: string;
  let firstBlock: bigint;

  const run = async (
    task: string,
    args: Record<string, unknown> = {},
    config: DstackUserConfig = {},
  ): Promise<TaskRun> =>
    runTask(await projectOf(world, { apps: { shop: appId }, ...config }), [task], {
      store: join(directory, "history.sqlite"),
      ...args,
    });
  const mined = async (transactionHash: TransactionHash) =>
    waitForReceipt(world.ownerClient, { transactionHash, functionName: "a change" });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-status-"));
    world = await startWorld();
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = world.cvms.onChain.appId;
    firstBlock = await getBlockNumber(world.ownerClient, { cacheTime: 0 });
    const client = world.ownerClient;
    await mined(await addComposeHash(client, { appId, composeHash: newHash }));
    await mined(await setAllowAnyDevice(client, { appId, allowAnyDevice: true }));
  });
  after(async () => {
    await world.close();
    await rm(directory, { recursive: true });
  });

  interface Status {
    readonly composeHashes: readonly { composeHash: string; by: string; transactionHash: string; time: string }[];
    readonly devices: readonly { deviceId: string }[];
    readonly cvms: readonly { name: string; composeHash: string; deviceId: string }[] | null;
    readonly findings: readonly { rule: string; severity: string }[];
    readonly cloud: { kind: string };
  }

  it("print everything as one object with --json", async () => {
    const { exitCode, stderr, json } = await run("status", { json: true });
    expect(exitCode, stderr).to.equal(0);
    const status = json<Status>();
    expect(status).to.deep.include({
      appId,
      alias: "shop",
      network: "world",
      chainId: 8453,
      version: "2",
      isTwoStep: true,
      upgradesDisabled: false,
      pendingOwner: null,
      completeness: { isComplete: true },
      cloud: { kind: "known", unread: [] },
      flags: { allowAnyDevice: true, requireTcbUpToDate: false },
      owner: { address: world.owner.address, kind: "eoa", isUsed: true },
    });
    const [cvm] = status.cvms ?? [];
    expect(cvm).to.include({ name: "onchain-app", status: "running" });
    expect(status.composeHashes.map(({ composeHash }) => composeHash)).to.deep.equal([cvm?.composeHash, newHash]);
    expect(status.devices.map(({ deviceId }) => deviceId)).to.deep.equal([cvm?.deviceId]);
    for (const { by, transactionHash, time } of status.composeHashes) {
      expect(by).to.match(/^0x[0-9a-fA-F]{40}$/);
      expect(transactionHash).to.match(/^0x[0-9a-f]{64}$/);
      expect(Date.parse(time)).to.be.greaterThan(Date.parse("2024-01-01"));
    }
    expect(status.findings.map(({ rule }) => rule)).to.have.members([
      "mutable-image",
      "any-device",
      "devices-without-effect",
      "guest-too-old-to-rotate",
      "eoa-owner",
    ]);
  });

  it("print the same as text, with whole hashes", async () => {
    const { exitCode, stdout, stderr } = await run("status");
    expect([exitCode, stderr]).to.deep.equal([0, ""]);
    for (const words of [
      `App ${appId} (shop)`,
      world.owner.address,
      "one key",
      newHash,
      "runs on onchain-app",
      "any device",
      "mutable-image",
    ])
      expect(stdout).to.include(words);
  });

  it("find the app through its CVM, and a CVM that would not boot again", async () => {
    const untouched = await world.snapshot();
    const composeHash = parseComposeHash(
      (await run("status", { json: true })).json<Status>().cvms?.[0]?.composeHash ?? "",
    );
    await mined(await removeComposeHash(world.ownerClient, { appId, composeHash }));
    const status = await run("status", { cvm: "onchain-app", json: true }, { apps: {} });
    expect(status.json<Status>().findings.map(({ rule }) => rule)).to.include("cvm-would-not-boot");
    await world.restore(untouched);
  });

  it("show the chain without an API key, and with a cloud that does not answer", async () => {
    const withoutKey = await run("status", { json: true }, { cloud: { apiKey: "" } });
    expect([withoutKey.exitCode, withoutKey.json<Status>().cvms, withoutKey.json<Status>().cloud]).to.deep.equal([
      0,
      null,
      { kind: "noKey" },
    ]);
    const wrongKey = await run("status", { json: true }, { cloud: { apiKey: "wrong", baseUrl: world.cloud.baseUrl } });
    expect(wrongKey.exitCode).to.equal(0);
    expect(wrongKey.json<Status>().cloud).to.include({ kind: "unknown" });
  });

  describe("status --fail-on", () => {
    const judge = (failOn: string, config: DstackUserConfig = {}) => run("status", { failOn }, config);

    it("fails from the named severity on, and says because of what", async () => {
      const warned = await judge("warning");
      expect([warned.exitCode, warned.stdout]).to.satisfy(
        ([code, text]: [unknown, string]) =>
          code === 6 && /^--fail-on warning: failed: \d+ warnings?\. The contract, .* were read\.$/m.test(text),
      );
      const passed = await judge("error");
      expect([passed.exitCode, passed.stdout.includes("--fail-on error: passed")]).to.deep.equal([0, true]);
      const json = (await run("status", { failOn: "warning", json: true })).json<{ failOn: object }>();
      expect(json.failOn).to.include({ severity: "warning", outcome: "failed" });
      expect((await run("status", { json: true })).json()).to.have.property("failOn", null);
    });

    it("decides nothing, with exit code 4, while the cloud does not answer or refuses the key", async () => {
      const down = { baseUrl: `http://127.0.0.1:${await closedPort()}/api/v1`, apiKey: world.apiKey };
      for (const cloud of [down, { baseUrl: world.cloud.baseUrl, apiKey: "wrong" }]) {
        const { exitCode, stdout } = await judge("error", { cloud });
        expect(exitCode).to.equal(4);
        expect(stdout)
          .to.include("--fail-on error: undecided: the cloud did not say which CVMs the app has.")
          .and.to.include("Not read: the app's CVMs or their compose files")
          .and.to.include(newHash);
      }
    });

    it("says without an API key what it did not read", async () => {
      const { exitCode, stdout } = await judge("error", { cloud: { baseUrl: world.cloud.baseUrl } });
      expect(exitCode).to.equal(0);
      expect(stdout).to.include("Not read: the app's CVMs");
    });

    it("refuses another severity", async () => {
      expect((await judge("note")).stderr).to.include("--fail-on must be error or warning.");
    });
  });

  describe("with an endpoint that fails", () => {
    const runAt = async (url: string, task: string, args: Record<string, unknown> = {}) => {
      const networks = { world: { type: "http" as const, url } };
      const hre = await projectOf(world, { apps: { shop: appId } }, { networks });
      return runTask(hre, [task], { store: ":memory:", ...args });
    };

    it("say in one sentence that it cannot be reached, without the key in its URL", async () => {
      for (const task of ["status", "history"]) {
        const told = await runAt(`http://127.0.0.1:${await closedPort()}/v2/secretsecretsecret1`, task);
        expect(told.stderr)
          .to.match(/^DSTK-2001 .+\n.+\n$/)
          .and.to.not.include("secretsecret");
        expect(told.exitCode).to.equal(3);
      }
    });

    it("show the rest when logs are missing, with a warning and exit code 6", async () => {
      const rpc = await rewriteRpc(world.chain.rpcUrl, (method, result) => (method === "eth_getLogs" ? [] : result));
      const told = await runAt(rpc.url, "status");
      expect(told.exitCode, told.stderr).to.equal(6);
      expect(told.stdout).to.include("THE HISTORY IS INCOMPLETE").and.to.include(world.owner.address);
      const history = await runAt(rpc.url, "history", { csv: true });
      expect(history.exitCode).to.equal(6);
      expect(history.stderr).to.include("THE HISTORY IS INCOMPLETE");
      expect(history.stdout).to.equal("blockNumber,time,kind,value,actor,sender,transactionHash,logIndex,origin\n");
      await rpc.close();
    });

    it("show the rest when logs are refused", async () => {
      const rpc = await startServer(async (response, { body }) => {
        const { id, method } = JSON.parse(body) as { id: number; method: string };
        const error = { code: -32601, message: "the method eth_getLogs does not exist" };
        if (method === "eth_getLogs") return sendJson(response, 200, { jsonrpc: "2.0", id, error });
        const headers = { "content-type": "application/json" };
        const answer = await fetch(world.chain.rpcUrl, { method: "POST", headers, body });
        sendJson(response, 200, await answer.json());
      });
      const told = await runAt(rpc.url, "status", { json: true });
      expect(told.exitCode, told.stderr).to.equal(6);
      expect(told.json()).to.deep.include({ isTwoStep: true });
      await rpc.close();
    });
  });

  it("show what is allowed today while the chain continues", async () => {
    const rpc = await startServer(async (response, { body }) => {
      const { method, params } = JSON.parse(body) as { method: string; params?: unknown[] };
      if (method === "eth_getBlockByNumber" && params?.[0] === "latest") await world.chain.client.mine({ blocks: 1 });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(world.chain.rpcUrl, { method: "POST", headers, body });
      sendJson(response, 200, await answer.json());
    });
    try {
      const networks = { world: { type: "http" as const, url: rpc.url } };
      const { timestamp } = await world.chain.client.getBlock({ blockTag: "latest" });
      const today = new Date(Number(timestamp) * 1000).toISOString().slice(0, 10);
      const hre = await projectOf(world, { apps: { shop: appId } }, { networks });
      const told = await runTask(hre, ["history"], { at: today, store: ":memory:", json: true });
      expect(told.exitCode, told.stdout).to.equal(0);
      const { at, atTime, pinned } = told.json<{ at: string; atTime: string; pinned: Record<string, string> }>();
      expect([at, atTime]).to.deep.equal([pinned.number, pinned.timestamp]);
    } finally {
      await rpc.close();
    }
  });

  it("list every change in order", async () => {
    const { exitCode, stderr, json } = await run("history", { json: true });
    expect(exitCode, stderr).to.equal(0);
    const { changes, completeness, ...about } = json<{
      appId: string;
      changes: { kind: string; value: unknown; actor: string }[];
      completeness: unknown;
    }>();
    expect([about.appId, completeness]).to.deep.equal([appId, { isComplete: true }]);
    expect(changes.map(({ kind }) => kind).slice(-2)).to.deep.equal(["composeHashAdded", "allowAnyDeviceSet"]);
    expect(changes.at(-2)).to.include({ value: newHash, actor: world.owner.address });
    expect(changes.at(-1)).to.include({ value: true, actor: world.owner.address });
  });

  it("print a table as text and values as CSV", async () => {
    const table = await run("history");
    expect(table.stdout).to.include(`allowed compose hash ${newHash}`).and.to.include("time (UTC)");
    const { stdout, stderr } = await run("history", { csv: true });
    const [head, ...lines] = stdout.trimEnd().split("\n");
    expect(head).to.equal("blockNumber,time,kind,value,actor,sender,transactionHash,logIndex,origin");
    expect(lines.at(-2)).to.include(`composeHashAdded,${newHash},${world.owner.address},,0x`);
    for (const line of lines) expect(line.split(",")).to.have.lengthOf(9);
    expect(stderr).to.equal("");
  });

  it("show what was allowed at a block and at a time", async () => {
    const then = (await run("history", { at: `${firstBlock}`, json: true })).json<{
      allowed: { composeHashes: string[]; allowAnyDevice: boolean };
    }>();
    expect(then.allowed.composeHashes).to.have.lengthOf(1);
    expect(then.allowed.allowAnyDevice).to.equal(false);
    const now = new Date(Date.now() + 60_000).toISOString().slice(0, 19);
    const today = await run("history", { at: `${now}Z` });
    expect(today.exitCode, today.stderr).to.equal(0);
    expect(today.stdout).to.match(/^At the end of block \d+, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, app /);
    expect(today.stdout).to.include("Compose hashes: 2").and.to.include(newHash);
  });

  it("prove each claim of the list against the chain's state", async () => {
    const { exitCode, json } = await run("history", { prove: true, json: true });
    const { proof } = json<{ proof: { isProven: boolean; claims: Record<string, { isProven: boolean }> } }>();
    expect(Object.keys(proof.claims)).to.deep.equal(["header", "account", "entries", "nothingElse"]);
    expect([exitCode, proof.isProven]).to.deep.equal([0, true]);
  });

  const refused: readonly [string, string, Record<string, unknown>, number][] = [
    ["an invalid date", "history", { at: "yesterday" }, 2],
    ["a day that does not exist", "history", { at: "2026-13-01" }, 2],
    ["a day that the month does not have", "history", { at: "2027-02-29" }, 2],
    ["a day of the future", "history", { at: "2222-01-01" }, 2],
    ["a block of the future", "history", { at: "99999999" }, 2],
    ["a time before the app", "history", { at: "2020-01-01" }, 2],
    ["csv and json at once", "history", { csv: true, json: true }, 2],
    ["an invalid first block", "status", { fromBlock: "-1" }, 2],
    ["an address without a contract", "status", { app: devAccount(3).address }, 2],
    ["an address without a contract", "history", { app: devAccount(3).address }, 2],
    ["a CVM that does not exist", "status", { cvm: "no-such-cvm" }, 4],
    ["an invalid KMS", "status", { kms: "0x12" }, 2],
    ["a KMS without code", "status", { kms: devAccount(3).address }, 2],
    ["a file that is not a store", "history", { store: "package.json" }, 2],
  ];
  for (const [what, task, args, exitCode] of refused) {
    it(`${task} refuses ${what} with one sentence and the next step`, async () => {
      const told = await run(task, args);
      expect(told.stderr).to.match(/^DSTK-\d{4} .+\n.+\n$/);
      expect(told.exitCode).to.equal(exitCode);
    });
  }

  it("refuse an app in place of the KMS, even the same app, and say which is which", async () => {
    for (const run of [
      async () => runTask(await projectOf(world), ["status"], { app: appId, kms: appId }),
      async () => runTask(await projectOf(world, { kms: appId }), ["hash", "add"], { app: appId, hashes: [newHash] }),
    ]) {
      const told = await run();
      expect(told.stderr).to.match(/^DSTK-1007 0x[0-9a-f]{40} is an app, not a DstackKms\.\n.+\n$/);
      expect(told.exitCode).to.equal(2);
    }
  });

  it("refuse the KMS in place of the app", async () => {
    for (const task of [["status"], ["history"], ["device", "list"]]) {
      const told = await runTask(await projectOf(world), task, { app: world.contracts.kms });
      expect(told.stderr, task.join(" ")).to.match(/^DSTK-1101 .*app-is-kms/);
      expect(told.exitCode).to.equal(2);
    }
  });

  for (const [task, args] of [
    [["hash", "add"], { hashes: ["a1".repeat(48)] }],
    [["device", "add"], { devices: [`0x${"a1".repeat(48)}`] }],
  ] as const) {
    it(`${task.join(" ")} recognises a SHA-384 by its length`, async () => {
      const told = await runTask(await projectOf(world, { apps: { shop: appId } }), task, { ...args, yes: true });
      expect([told.exitCode, told.stderr.includes("sha384-value")]).to.deep.equal([2, true]);
    });
  }

  it("read a date as its end, and a time without a zone as UTC", () => {
    expect(parseMoment("--at", "2026-11-21")).to.deep.equal({ timestamp: 1795305599n });
    expect(parseMoment("--at", "2026-11-21T03:00")).to.deep.equal(parseMoment("--at", "2026-11-21 04:00:00+01:00"));
    expect(parseMoment("--at", "2026-11-21T03:00:07.25Z")).to.deep.equal({
      timestamp: 1795230007n,
      milliseconds: 250n,
    });
    expect(parseMoment("--at", "17")).to.deep.equal({ blockNumber: 17n });
  });
});
