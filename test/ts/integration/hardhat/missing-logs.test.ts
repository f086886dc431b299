import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { type Hex, toEventSelector } from "viem";
import { getBlockNumber } from "viem/actions";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash } from "../../../../src/core/ids.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { type Behaviour, blocksOf, type RpcProvider, startProvider } from "../../../support/history/rpc-provider.ts";

interface Log {
  readonly address: string;
  readonly blockNumber: Hex;
  readonly topics: readonly Hex[];
  readonly data: string;
}

interface Reason {
  readonly message: string;
}

interface Completeness {
  readonly isComplete: boolean;
  readonly reasons: readonly Reason[];
}

interface Status {
  readonly completeness: Completeness;
  readonly composeHashes: readonly { composeHash: ComposeHash }[];
  readonly devices: readonly { deviceId: DeviceId }[];
  readonly findings: readonly { rule: string }[];
}

/** What the chain truly has. */
interface Truth {
  /** The hash and the device of the app's CVM. The app was created with both. */
  readonly running: ComposeHash;
  readonly device: DeviceId;
  /** The block of the newest change, which allowed a pinned hash. */
  readonly newest: bigint;
}

const pinned = parseComposeHash("1e".repeat(32));
const idle = parseComposeHash("1f".repeat(32));
const [hashAdded, deviceAdded] = ["ComposeHashAdded(bytes32)", "DeviceAdded(bytes32)"].map((event) =>
  toEventSelector(event),
);

const keep =
  (isKept: (log: Log) => boolean): Behaviour =>
  async (call, pass) =>
    call.method === "eth_getLogs" ? { result: ((await pass()) as Log[]).filter(isKept) } : undefined;
const change =
  (rewrite: (logs: readonly Log[]) => readonly Log[]): Behaviour =>
  async (call, pass) =>
    call.method === "eth_getLogs" ? { result: rewrite((await pass()) as Log[]) } : undefined;
const refuse =
  (code: number, message: string, isRefused: (from: number) => boolean): Behaviour =>
  (call) => {
    const asked = blocksOf(call);
    return asked !== undefined && isRefused(asked.from) ? { error: { code, message } } : undefined;
  };

const faults: readonly (readonly [what: string, behave: (truth: Truth) => Behaviour])[] = [
  ["no logs at all", () => keep(() => false)],
  ["the newer part of the logs", ({ newest }) => keep(({ blockNumber }) => BigInt(blockNumber) >= newest)],
  [
    "the older part of the logs, as a backend that lags",
    ({ newest }) => keep((log) => BigInt(log.blockNumber) < newest),
  ],
  ["a refusal", () => refuse(-32601, "the method eth_getLogs does not exist", () => true)],
  ["a refusal of old blocks", ({ newest }) => refuse(4444, "pruned history unavailable", (from) => from < newest)],
  [
    "all logs but the one that allowed the running hash",
    ({ running }) => keep(({ topics, data }) => topics[0] !== hashAdded || data !== running),
  ],
  ["all logs but those that name the running hash", ({ running }) => keep((log) => !names(log, running))],
  [
    "all logs but the one that allowed the CVM's device",
    ({ device }) => keep(({ topics, data }) => topics[0] !== deviceAdded || data !== device),
  ],
  ["all logs but those that name the CVM's device", ({ device }) => keep((log) => !names(log, device))],
  ["one log twice", () => change((logs) => [...logs, ...logs.slice(0, 1)])],
  [
    "a log of another contract",
    () => change((logs) => logs.map((log, index) => (index === 0 ? { ...log, address: `0x${"11".repeat(20)}` } : log))),
  ],
];

function names({ topics, data }: Log, value: Hex): boolean {
  return [...topics, data].some((word) => word.includes(value.slice(2)));
}

/** Sentences that only a complete history could support. */
const denials = [
  "No compose hash is allowed",
  "No device is allowed",
  "No device is listed",
  "which is not allowed",
  "Allow the",
  "Nothing to remove",
  "The app did not exist",
];

describe("with an endpoint that leaves out logs", () => {
  let world: World;
  let appId: AppId;
  let truth: Truth;
  let provider: RpcProvider;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-missing-"));
    world = await startWorld();
    const { ownerClient: client } = world;
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined || cvm.composeHash === undefined || cvm.deviceId === undefined)
      throw new Error("The world has no app.");
    appId = cvm.appId;
    for (const composeHash of [idle, pinned]) {
      const transactionHash = await addComposeHash(client, { appId, composeHash });
      await waitForReceipt(client, { transactionHash, functionName: "addComposeHash" });
    }
    const newest = await getBlockNumber(client, { cacheTime: 0 });
    truth = { running: cvm.composeHash, device: cvm.deviceId, newest };
    provider = await startProvider({ request: (call) => world.chain.client.request(call as never) });
  });
  after(async () => {
    await provider?.close();
    await world?.close();
    await rm(directory, { recursive: true });
  });

  async function run(task: readonly string[], args: Record<string, unknown> = {}): Promise<TaskRun> {
    const apps = { shop: { address: appId, pins: [pinned], devices: [truth.device] } };
    const networks = { world: { type: "http" as const, url: provider.url } };
    const hre = await projectOf(world, { apps }, { networks });
    const store = task[0] === "boot-check" ? {} : { store: ":memory:" };
    return runTask(hre, task, { ...store, ...args });
  }

  const bootArguments = () => ({
    hash: truth.running,
    device: truth.device,
    osImage: world.osImages[0].hash,
    kms: world.contracts.kms,
  });
  const isAllowed = async (composeHash: ComposeHash) =>
    (await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed;

  for (const [what, behave] of faults) {
    describe(`which answers with ${what}`, () => {
      const today = () => ({ at: `${truth.newest}` });
      let status: Status;
      let history: { completeness: Completeness; allowed: { composeHashes: string[]; devices: string[] } };
      let list: { completeness: Completeness; devices: { deviceId: string; isListed: boolean }[] };
      let plan: { unknowns: { kind: string; problem: string }[] };

      before(async () => {
        provider.behave(behave(truth));
        status = (await run(["status"], { json: true })).json();
        history = (await run(["history"], { json: true, ...today() })).json();
        list = (await run(["device", "list"], { json: true })).json();
        plan = (await run(["prune"], { json: true, dryRun: true })).json();
      });
      after(() => provider.behave(undefined));

      const told = ({ completeness }: { completeness: Completeness }) =>
        completeness.reasons.map(({ message }) => message);

      it("every task tells the same of what is missing", () => {
        expect(told(status)).to.not.deep.equal([]);
        expect(told(history)).to.deep.equal(told(status));
        expect(told(list)).to.deep.equal(told(status));
        const ofHistory = plan.unknowns.filter(({ kind }) => kind === "history");
        expect(ofHistory.map(({ problem }) => problem)).to.deep.equal(told(status));
      });

      for (const [task, args] of [
        [["status"], () => ({})],
        [["history"], today],
        [["device", "list"], () => ({})],
        [["prune"], () => ({ dryRun: true })],
      ] as const) {
        it(`${task.join(" ")} says it as text, denies nothing that it cannot know, and exits with 6`, async () => {
          const { stdout, exitCode } = await run(task, args());
          for (const message of told(status)) expect(stdout).to.include(message);
          for (const denial of denials) expect(stdout).to.not.include(denial);
          expect(stdout).to.include("known to");
          expect(exitCode).to.equal(6);
        });
      }

      it("every task shows what the contract itself allows, of all that is in use", async () => {
        const hashes = status.composeHashes.map(({ composeHash }) => composeHash);
        for (const hash of hashes) expect(await isAllowed(hash)).to.equal(true);
        expect(hashes).to.include.members([truth.running, pinned]);
        expect(status.devices.map(({ deviceId }) => deviceId)).to.deep.equal([truth.device]);
        expect(history.allowed.composeHashes).to.deep.equal(hashes);
        expect(history.allowed.devices).to.deep.equal([truth.device]);
        const listed = list.devices.filter(({ isListed }) => isListed).map(({ deviceId }) => deviceId);
        expect(listed).to.deep.equal([truth.device]);
        const rules = status.findings.map(({ rule }) => rule);
        expect(rules).to.not.include("nothing-boots").and.to.not.include("cvm-would-not-boot");
      });

      it("prune removes nothing, even where nothing seems to be left to remove", async () => {
        const block = await getBlockNumber(world.ownerClient, { cacheTime: 0 });
        const ledger = join(directory, "ledger.sqlite");
        const blocked = await run(["prune"], { yes: true, json: true, ledger, keep: "60" });
        const { error } = blocked.json<{ error: { name: string } }>();
        expect([blocked.exitCode, error.name]).to.deep.equal([7, "PruneBlockedError"]);
        expect(await getBlockNumber(world.ownerClient, { cacheTime: 0 })).to.equal(block);
      });

      it("boot-check answers what the contract answers", async () => {
        const { exitCode, stdout, stderr } = await run(["boot-check"], bootArguments());
        expect([exitCode, stdout.includes("It would boot")], stderr).to.deep.equal([0, true]);
      });
    });
  }

  it("does not call known what the events alone say of an earlier block", async () => {
    provider.behave(keep(({ blockNumber }) => BigInt(blockNumber) < truth.newest));
    const { stdout, exitCode } = await run(["history"], { at: `${truth.newest - 1n}` });
    provider.behave(undefined);
    expect(exitCode).to.equal(6);
    expect(stdout).to.include("Compose hashes allowed according to the events: 2").and.to.include(idle);
    expect(stdout).to.not.include("Compose hashes known");
  });

  it("does not say that the app did not exist before the oldest log that it serves", async () => {
    provider.behave(keep(({ blockNumber }) => BigInt(blockNumber) >= truth.newest));
    const told = await run(["history"], { at: `${truth.newest - 1n}` });
    expect([told.exitCode, told.stderr]).to.deep.equal([6, ""]);
    expect(told.stdout).to.include(`it is not known what app ${appId} allowed`);
    const { at, allowed } = (await run(["history"], { at: `${truth.newest - 1n}`, json: true })).json<{
      at: string;
      allowed: unknown;
    }>();
    expect([at, allowed]).to.deep.equal([`${truth.newest - 1n}`, null]);
    provider.behave(undefined);
    const whole = await run(["history"], { at: "1" });
    expect([whole.exitCode, whole.stderr.includes("The app did not exist at that time.")]).to.deep.equal([2, true]);
  });

  it("says nothing of the kind with all logs", async () => {
    for (const task of [["status"], ["history"], ["device", "list"], ["prune"]]) {
      const told = await run(task, task[0] === "prune" ? { dryRun: true } : {});
      expect(told.exitCode, told.stdout).to.equal(0);
      expect(told.stdout).to.not.include("INCOMPLETE").and.to.not.include("known to be");
    }
  });

  describe("and a store that keeps what was read", () => {
    it("names the file that keeps a bad endpoint's answers, and is right without it", async () => {
      const store = join(directory, "history.sqlite");
      // Beyond the blocks that are read again.
      for (let mined = 0; mined < 75; mined += 5) await world.chain.client.mine({ blocks: 5, interval: 2 });
      provider.behave(keep(() => false));
      await run(["status"], { store });
      provider.behave(undefined);
      const told = await run(["status"], { store });
      expect([told.exitCode, told.stdout.includes(`Then delete ${store}`)]).to.deep.equal([6, true]);
      await rm(store);
      expect((await run(["status"], { store })).exitCode).to.equal(0);
    });
  });
});
