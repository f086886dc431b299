import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Account, type Address, createClient, custom } from "viem";
import { parseAccount } from "viem/accounts";
import { getTransactionCount } from "viem/actions";
import { base } from "viem/chains";
import type { ChainClient } from "../../../../../src/chain/client.ts";
import { deploymentOf } from "../../../../../src/chain/deploy-app.ts";
import { encodeDeployApp } from "../../../../../src/chain/encode-deploy-app.ts";
import { readAllowlist, readAppSettings } from "../../../../../src/chain/read-app.ts";
import { readBootVerdict } from "../../../../../src/chain/read-boot.ts";
import { readChainIdentity } from "../../../../../src/chain/transactions/chain-identity.ts";
import { memoryLedger, openLedger } from "../../../../../src/chain/transactions/ledger.ts";
import { type DeployOnceParameters, deployOnce } from "../../../../../src/commands/deploy-once.ts";
import { deployedApp } from "../../../../../src/core/events.ts";
import { type AppId, parseComposeHash } from "../../../../../src/core/ids.ts";
import { UnsignedRecordError } from "../../../../../src/errors/index.ts";
import { DatabaseSync } from "../../../../../src/files/sqlite.ts";
import { bootInfoOf } from "../../../../../src/testing/index.ts";
import { devAccount, devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import type { RpcRequest } from "../../../../support/chain/intercepted-client.ts";
import { reorganisingBeforeSafe } from "../../../../support/chain/reorganise.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { Crash, type CrashPoint, crashingLedger } from "../../../../support/ledger/crashing-ledger.ts";
import { putRecord } from "../../../../support/ledger/signed-record.ts";
import { rejection } from "../../../../support/rejection.ts";

interface Deployed {
  readonly appId: AppId;
  readonly transactionHash: string;
  readonly isFromRecord: boolean;
  readonly owner: Address;
  readonly gasUsed?: string;
}

const composeHash = parseComposeHash("a1".repeat(32));

describe("dstack app deploy", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let ledgerPath: string;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cvms: false });
    hre = await projectOf(world, { kms: world.contracts.kms });
    directory = await mkdtemp(join(tmpdir(), "dstack-deploy-"));
  });
  beforeEach(() => {
    ledgerPath = join(directory, `ledger-${++runs}.sqlite`);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (args: Record<string, unknown> = {}, project = hre): Promise<TaskRun> =>
    runTask(project, ["app", "deploy"], {
      hash: composeHash,
      device: "node-1",
      ledger: ledgerPath,
      json: true,
      yes: true,
      ...args,
    });
  const errorOf = (outcome: TaskRun) => outcome.json<{ error: { name: string } }>().error;
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("deploys an app that boots, owned by the signer", async () => {
    const outcome = await run();
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    const { appId, isFromRecord, gasUsed } = outcome.json<Deployed>();
    const { deviceId } = world.nodes[0];
    expect(outcome.stderr).to.include(`node-1 is device ${deviceId}, according to the cloud.`);
    expect(outcome.json()).to.deep.include({ namedDevices: [{ node: "node-1", deviceId, namedBy: "cloud" }] });
    expect(isFromRecord).to.equal(false);
    expect(gasUsed).to.match(/^\d+$/);
    const [node] = world.nodes;
    const bootInfo = bootInfoOf(appId, { composeHash, deviceId: node.deviceId, osImageHash: world.osImages[0].hash });
    const { kms } = world.contracts;
    expect((await readBootVerdict(world.ownerClient, { kms, bootInfo })).reason).to.equal("");
    expect((await readAllowlist(world.ownerClient, { appId })).owner.toLowerCase()).to.equal(
      world.owner.address.toLowerCase(),
    );
  });

  it("returns the same app for the same command, and another one for any other", async () => {
    const first = (await run()).json<Deployed>();
    const block = await head();
    const second = (await run()).json<Deployed>();
    expect(second).to.deep.include({
      appId: first.appId,
      transactionHash: first.transactionHash,
      isFromRecord: true,
    });
    expect(await head()).to.equal(block);
    const third = (await run({ again: true })).json<Deployed>();
    const fourth = (await run({ requireTcbUpToDate: true })).json<Deployed>();
    expect(new Set([first.appId, third.appId, fourth.appId]).size).to.equal(3);
    expect((await run()).json<Deployed>().appId).to.equal(third.appId);
  });

  it("applies owner and flags, with any payer", async () => {
    const owner = devAccount(7).address;
    const payer = await projectOf(world, { kms: world.contracts.kms, ownerKey: devPrivateKey(5) });
    const flags = { allowAnyDevice: true, requireTcbUpToDate: true, disableUpgrades: true };
    const outcome = await run({ owner, device: undefined, ...flags }, payer);
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    expect(outcome.stderr).to.match(
      /warning Upgrades of the app will be disabled for ever, .* \(cannot-follow-rotation\)/,
    );
    const { appId, findings } = outcome.json<Deployed & { findings: { rule: string }[] }>();
    expect(findings.map(({ rule }) => rule)).to.include.members(["any-device", "cannot-follow-rotation"]);
    const allowlist = await readAllowlist(world.ownerClient, { appId, composeHash });
    expect(allowlist).to.include({ owner, allowAnyDevice: true, requireTcbUpToDate: true, composeHashAllowed: true });
    expect(await readAppSettings(world.ownerClient, { appId })).to.include({ upgradesDisabled: true });
  });

  it("sends the same bytes again after a crash between signing and sending", async () => {
    const { ownerClient, owner, contracts } = world;
    const parameters = { kms: contracts.kms, owner: owner.address, composeHash, account: owner, chainId: base.id };
    const deploy = async (client: ChainClient) => {
      using ledger = openLedger(ledgerPath);
      return await deployOnce(client, { ...parameters, ledger, again: false });
    };
    const without = (method: string): ChainClient =>
      createClient({
        chain: base,
        transport: custom(
          {
            request: async (call: { method: string }) => {
              if (call.method === method) throw new Error("The power went out.");
              return ownerClient.request(call as Parameters<typeof ownerClient.request>[0]); // any method of the client's
            },
          },
          { retryCount: 0 },
        ),
        pollingInterval: 5,
      });
    const block = await head();
    await rejection(deploy(without("eth_sendRawTransaction")));
    expect(await head()).to.equal(block);
    const deployed = await deploy(ownerClient);
    expect(deployed.isFromRecord).to.equal(true);
    expect(await head()).to.equal(block + 1n);
    expect((await deploy(ownerClient)).appId).to.equal(deployed.appId);
    expect(await head()).to.equal(block + 1n);
  });

  describe("when the endpoint denies a mined deployment", () => {
    type Rewrite = (call: { method: string; params?: readonly unknown[] }, answer: unknown) => unknown;

    async function deployThrough(rewrite: Rewrite) {
      const { ownerClient, owner, contracts } = world;
      const parameters = { kms: contracts.kms, owner: owner.address, composeHash, account: owner, chainId: base.id };
      const request = async (call: { method: string; params?: readonly unknown[] }) =>
        rewrite(call, await ownerClient.request(call as Parameters<typeof ownerClient.request>[0])); // any method of the client's
      const client = createClient({
        chain: base,
        transport: custom({ request }, { retryCount: 0 }),
        pollingInterval: 5,
      });
      using ledger = openLedger(ledgerPath);
      return await deployOnce(client, { ...parameters, ledger, again: false, timeoutMs: 500 });
    }

    const unknown: Rewrite = ({ method }, answer) =>
      method === "eth_getTransactionByHash" || method === "eth_getTransactionReceipt" ? null : answer;
    /** The mined block, with one field of the deployment changed. */
    const changing =
      (change: object): Rewrite =>
      (call, answer) => {
        if (call.method !== "eth_getBlockByNumber" || call.params?.[1] !== true) return unknown(call, answer);
        const block = answer as { transactions: object[] };
        return { ...block, transactions: block.transactions.map((each) => ({ ...each, ...change })) };
      };

    for (const [what, rewrite] of Object.entries<Rewrite>({
      "another KMS in the mined transaction": changing({ to: `0x${"ab".repeat(20)}` }),
      "another calldata in the mined transaction": changing({ input: "0x12345678" }),
      "another transaction of its own": changing({
        to: `0x${"ab".repeat(20)}`,
        r: `0x${"11".repeat(32)}`,
        type: "0x2",
      }),
      "another chain in the mined transaction": changing({ chainId: "0x1", to: `0x${"ab".repeat(20)}` }),
      "a receipt of a transaction that reverted": ({ method }, answer) =>
        method === "eth_getTransactionReceipt" && answer !== null ? { ...(answer as object), status: "0x0" } : answer,
    }))
      it(`pays for no second deployment: ${what}`, async () => {
        const dying: Rewrite = ({ method }, answer) => {
          if (method === "eth_sendRawTransaction") throw new Error("The power went out.");
          return unknown({ method }, answer);
        };
        const block = await head();
        await rejection(deployThrough(dying));
        expect(await head()).to.equal(block + 1n);
        const error = await rejection(deployThrough(rewrite));
        expect(String(error)).to.match(/NonceTakenError|TransactionRevertedError/);
        expect(await head()).to.equal(block + 1n);
      });

    it("signs no later nonce after an answer that the recorded one is free", async () => {
      await deployThrough((_, answer) => answer);
      const block = await head();
      let counts = 0;
      const error = await rejection(
        deployThrough((call, answer) => {
          const isOld = call.method === "eth_getTransactionCount" && ++counts <= 2;
          return isOld ? "0x0" : unknown(call, answer);
        }),
      );
      expect(String(error)).to.match(/NonceTakenError/);
      expect(await head()).to.equal(block);
    });
  });

  it("sends no recorded deployment without signed bytes, unless the user agrees to it separately", async () => {
    const { ownerClient: client, owner, contracts } = world;
    const deploy = async (account: Account, options: Partial<DeployOnceParameters> = {}) => {
      const parameters = { kms: contracts.kms, owner: account.address, composeHash, account, chainId: base.id };
      using ledger = openLedger(ledgerPath);
      return await deployOnce(client, { ...parameters, ledger, again: false, ...options });
    };
    const held = parseAccount(devAccount(6).address); // the world's node has the key
    for (const account of [owner, held]) {
      ledgerPath = `${ledgerPath}-${account.type}`;
      const app = { kms: contracts.kms, owner: account.address, composeHash };
      const { to, data } = encodeDeployApp(app);
      const nonce = await getTransactionCount(client, { address: account.address });
      const { chain } = await readChainIdentity(client, base.id);
      using ledger = openLedger(ledgerPath);
      putRecord(
        ledger,
        {
          ...{ chainId: base.id, from: account.address, to, data, nonce, functionName: "deployAndRegisterApp" },
          ...{ gas: 500_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n },
        },
        { calls: [], chain, purpose: deploymentOf(app) },
      );
      ledger.close();
      const block = await head();
      expect(await rejection(deploy(account))).to.be.instanceOf(UnsignedRecordError);
      const refused = new Error("no");
      const confirmUnsigned = () => Promise.reject(refused);
      expect(await rejection(deploy(account, { confirmUnsigned }))).to.satisfy(
        (error: unknown) => error === refused || error instanceof UnsignedRecordError,
      );
      expect(await head()).to.equal(block);
    }
    expect((await deploy(held, { confirmUnsigned: () => {} })).isFromRecord).to.equal(true);
  });

  it("finds a deployment that a node signed by its nonce, and deploys nothing a second time", async () => {
    const { ownerClient, contracts } = world;
    const account = parseAccount(devAccount(6).address); // the world's node has the key
    const parameters = { kms: contracts.kms, owner: account.address, composeHash, account, chainId: base.id };
    const deploy = async (client: ChainClient) => {
      using ledger = openLedger(ledgerPath);
      return await deployOnce(client, { ...parameters, ledger, again: false });
    };
    const losing = createClient({
      chain: base,
      transport: custom(
        {
          request: async (call: { method: string }) => {
            const answer = await ownerClient.request(call as Parameters<typeof ownerClient.request>[0]); // any method of the client's
            if (call.method === "eth_sendTransaction") throw new Error("The power went out.");
            return answer;
          },
        },
        { retryCount: 0 },
      ),
    });
    const block = await head();
    await rejection(deploy(losing));
    expect(await head()).to.equal(block + 1n);
    const deployed = await deploy(ownerClient);
    expect(deployed.isFromRecord).to.equal(true);
    expect(deployed.transactionHash).to.match(/^0x/);
    expect((await deploy(ownerClient)).appId).to.equal(deployed.appId);
    expect(await head()).to.equal(block + 1n);
  });

  it("deploys one app when the process ends at any write of the ledger", async () => {
    const { ownerClient, owner, contracts } = world;
    const parameters = { kms: contracts.kms, owner: owner.address, composeHash, account: owner, chainId: base.id };
    const deploy = (point?: CrashPoint) => {
      const ledger = openLedger(ledgerPath);
      const used = point === undefined ? ledger : crashingLedger(ledger, point);
      return deployOnce(ownerClient, { ...parameters, ledger: used, again: false }).finally(() => ledger.close());
    };
    const crashed: string[] = [];
    for (let write = 1, isOver = false; !isOver; write++)
      for (const when of ["before", "after"] as const) {
        ledgerPath = join(directory, `crash-${write}-${when}.sqlite`);
        const block = await head();
        const error = await deploy({ write, when }).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (error === undefined) isOver = true;
        else {
          expect(error).to.be.instanceOf(Crash);
          crashed.push(`${write} ${when}`);
        }
        const { appId } = await deploy();
        expect((await deploy()).appId).to.equal(appId);
        expect(await head(), `${write} ${when}`).to.equal(block + 1n);
      }
    expect(crashed.length).to.be.greaterThan(4);
  });

  it("deploys the app again on a chain that was set back to a time before it", async () => {
    const snapshot = await world.snapshot();
    await run();
    await world.restore(snapshot);
    const second = (await run()).json<Deployed>();
    expect((await readAllowlist(world.ownerClient, { appId: second.appId })).owner).to.equal(world.owner.address);
  });

  it("reports the app of the block that stays, after a reorganisation between inclusion and safe", async () => {
    const { ownerClient, owner, contracts } = world;
    const app = { kms: contracts.kms, composeHash };
    const request = (call: RpcRequest) => ownerClient.request(call as Parameters<typeof ownerClient.request>[0]); // any method of the client's
    // The address of an app follows from the number of apps before it.
    const meanwhile = () =>
      deployOnce(ownerClient, {
        ...{ ...app, account: devAccount(5), owner: devAccount(5).address, chainId: base.id },
        ...{ ledger: memoryLedger(), again: false },
      }).then(() => undefined);
    const reorganising = reorganisingBeforeSafe({ ask: request, meanwhile });
    const client = createClient({
      chain: base,
      transport: custom({ request: (call) => reorganising(call, () => request(call)) }, { retryCount: 0 }),
      pollingInterval: 5,
    });
    using ledger = openLedger(ledgerPath);
    const seen: AppId[] = [];
    const kinds: string[] = [];
    const deployed = await deployOnce(client, {
      ...{ ...app, account: owner, owner: owner.address, chainId: base.id, ledger, again: false, until: "safe" },
      onEvent: (event) => {
        kinds.push(event.kind);
        if (event.kind === "mined") seen.push(deployedApp(event.receipt, app));
      },
    });
    expect(kinds).to.include("dropped");
    expect(new Set(seen).size, "two addresses").to.equal(2);
    expect(deployed.appId).to.equal(seen.at(-1));
    const { owner: found } = await readAllowlist(ownerClient, { appId: deployed.appId });
    expect(found).to.equal(owner.address);
    expect(ledger.transactions()).to.have.length(1);
    expect(ledger.transactions()[0]).to.include({ state: "mined", finality: "safe" });
  });

  it("refuses a ledger that cannot be read, and sends nothing", async () => {
    await writeFile(ledgerPath, "not a ledger\n", { mode: 0o600 });
    const block = await head();
    expect(errorOf(await run())).to.include({ name: "LedgerError" });
    expect(await head()).to.equal(block);
    expect(await readFile(ledgerPath, "utf8")).to.equal("not a ledger\n");
  });

  describe("with a ledger that another program has changed", () => {
    function tamper(table: "transactions" | "attempts", columns: Readonly<Record<string, string | number | null>>) {
      const database = new DatabaseSync(ledgerPath);
      for (const [column, value] of Object.entries(columns))
        database.prepare(`UPDATE ${table} SET ${column} = ?`).run(value);
      database.close();
    }

    it("shows no app that the signer did not deploy, not even one that the signer owns", async () => {
      await run();
      // Any account can make the KMS deploy an app that the owner owns, with a compose hash of its choice.
      const stranger = await projectOf(world, { kms: world.contracts.kms, ownerKey: devPrivateKey(6) });
      const planted = await run(
        { owner: world.owner.address, hash: `0x${"ee".repeat(32)}`, ledger: `${ledgerPath}.planted` },
        stranger,
      );
      const { appId, transactionHash } = planted.json<Deployed>();
      tamper("transactions", { hash: transactionHash });
      const block = await head();
      const refused = await run();
      expect(errorOf(refused), refused.stdout).to.include({ name: "ReceiptMismatchError" });
      expect(refused.stdout).not.to.include(appId);
      expect(await head()).to.equal(block);
    });

    it("sends only the deployment that the entry describes", async () => {
      const { transactionHash } = (await run()).json<Deployed>();
      const { input } = await world.chain.client.getTransaction({ hash: transactionHash as `0x${string}` });
      const original = await readFile(ledgerPath);
      for (const [table, columns, problem] of [
        ["transactions", { data: `0xf2fde38b${"11".repeat(32)}` }, /calldata/],
        ["transactions", { data: `${input}00` }, /calldata/],
        ["transactions", { nonce: 7_777 }, /nonce/],
        ["transactions", { target: `0x${"12".repeat(20)}` }, /another target/],
        ["attempts", { hash: `0x${"12".repeat(32)}` }, /hash is not that/],
        ["attempts", { raw: "0x02" }, /hash is not that/],
        ["attempts", { gas: "3000001", raw: null }, /gas limit/],
      ] as const) {
        await writeFile(ledgerPath, original);
        tamper(table, columns);
        const block = await head();
        const refused = await run();
        expect(errorOf(refused), refused.stdout).to.include({ name: "LedgerError" });
        expect(refused.stdout).to.match(problem).and.include(ledgerPath);
        expect(await head()).to.equal(block);
      }
    });

    it("says so before the question", async () => {
      const { appId, transactionHash } = (await run()).json<Deployed>();
      const { stdout } = await run({ json: false });
      expect(stdout).to.match(/recorded.*earlier run signed this same deployment/);
      expect(stdout.indexOf("recorded")).to.be.lessThan(stdout.indexOf("deployed app"));
      for (const words of [appId, transactionHash]) expect(stdout).to.include(words);
    });

    it("reports when the endpoint cannot show who deployed the app", async () => {
      await run();
      const { ownerClient, owner, contracts } = world;
      const forgetful: ChainClient = createClient({
        chain: base,
        transport: custom({
          request: async (call: { method: string }) =>
            call.method === "eth_getTransactionReceipt"
              ? null
              : ownerClient.request(call as Parameters<typeof ownerClient.request>[0]), // any method of the client's
        }),
      });
      using ledger = openLedger(ledgerPath);
      const deviceId = world.nodes[0].deviceId;
      const parameters = { kms: contracts.kms, owner: owner.address, composeHash, deviceId, chainId: base.id };
      const error = await rejection(
        deployOnce(forgetful, { ...parameters, account: owner, ledger, again: false, timeoutMs: 500 }),
      );
      expect(String(error)).to.match(/NonceTakenError|receipt/);
    });
  });

  it("shows what it will deploy, and the app's id", async () => {
    const { stdout } = await run({ json: false });
    for (const words of [world.contracts.kms, composeHash, "Deployed app 0x"]) expect(stdout).to.include(words);
  });

  for (const [what, args, name, code] of [
    ["a short hash", { hash: "0x12" }, "InvalidHexError", 2],
    ["a short owner", { owner: "0x12" }, "InvalidHexError", 2],
    ["an owner with a wrong checksum", { owner: devAccount(0).address.replace("f39F", "F39f") }, "InvalidHexError", 2],
    ["the KMS as owner", { owner: "kms" }, "LintRefusedError", 2],
    ["the zero hash", { hash: `0x${"00".repeat(32)}` }, "LintRefusedError", 2],
    ["an unknown node", { device: "node-9" }, "InvalidArgumentError", 2],
    ["an address without a contract as KMS", { kms: `0x${"12".repeat(20)}` }, "InvalidArgumentError", 2],
    ["no yes and no terminal", { yes: false }, "InvalidArgumentError", 2],
  ] as const)
    it(`refuses ${what}`, async () => {
      const block = await head();
      const refused = await run("owner" in args && args.owner === "kms" ? { owner: world.contracts.kms } : args);
      expect(errorOf(refused), refused.stdout).to.include({ name });
      expect(refused.exitCode).to.equal(code);
      expect(await head()).to.equal(block);
    });

  for (const [what, name, problem] of [
    ["a device", "/dev/full", "device"],
    ["a file below /proc", "/proc/none/ledger.sqlite", "no such file or folder"],
    ["a file in a folder that is a device", "/dev/null/ledger.sqlite", "not a folder"],
  ] as const)
    it(`refuses ${what} as ledger, and as history store, at once`, async () => {
      const refused = await run({ ledger: name });
      expect(errorOf(refused), refused.stdout).to.include({ name: "UnusableFileError" });
      expect([refused.exitCode, refused.stdout]).to.satisfy(
        ([code, text]: [unknown, string]) => code === 2 && text.includes(problem),
      );
      const { appId } = (await run()).json<Deployed>();
      const history = await runTask(hre, ["history"], { app: appId, store: name, json: true });
      expect(errorOf(history), history.stdout).to.include({ name: "UnusableFileError" });
    });

  it("refuses an app in place of the KMS, before it asks for a key", async () => {
    const { appId } = (await run()).json<Deployed>();
    const networks = { world: { type: "http" as const, url: world.chain.rpcUrl, accounts: [] } };
    const refused = await run({ kms: appId }, await projectOf(world, { ownerKey: "" }, { networks }));
    expect([refused.exitCode, errorOf(refused).name]).to.deep.equal([2, "InvalidArgumentError"]);
    expect(refused.stdout).to.include(`${appId} is an app, not a DstackKms.`);
  });

  it("refuses to choose a KMS", async () => {
    expect(errorOf(await run({}, await projectOf(world)))).to.include({ name: "InvalidArgumentError" });
  });
});
