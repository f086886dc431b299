import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, concat, encodeFunctionData, type Hex, numberToHex, parseGwei } from "viem";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { encodeDeployApp } from "../../../../src/chain/encode-deploy-app.ts";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
  earlierBatchExecutors,
} from "../../../../src/core/batch-executor.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import {
  addKmsDeviceCall,
  addOsImageHashCall,
  setAppImplementationCall,
} from "../../../../src/core/kms-owner-calls.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  addDeviceCall,
  type OwnerCall,
  removeComposeHashCall,
  removeDeviceCall,
  setAllowAnyDeviceCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import dstack from "../../../../src/hardhat/index.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { arbitraryLies, attacker } from "../../../support/hostile/arbitrary-lies.ts";
import {
  callsOfBatch,
  type DecodedTransaction,
  shownAuthorizations,
  signedTransactions,
} from "../../../support/hostile/decode-signatures.ts";
import { type Lie, type LyingRpc, startLyingRpc } from "../../../support/hostile/lying-rpc.ts";

interface Call {
  readonly to: Hex;
  readonly data: Hex;
}

/** A task that signs, and the calls that its command line can mean. */
interface Scenario {
  readonly task: readonly string[];
  readonly args: Readonly<Record<string, unknown>>;
  readonly calls: readonly Call[];
  /** The delegate that it may authorise: the executor for a batch, the zero address to end a delegation. */
  readonly authorizes?: Hex | undefined;
  readonly isCloudAsked?: boolean;
}

const hashes = ["1", "2", "3"].map((digit) => parseComposeHash(digit.repeat(64)));
const stale = ["4", "5"].map((digit) => parseComposeHash(digit.repeat(64)));
const device = parseDeviceId("d7".repeat(32));
const staleDevice = parseDeviceId("d8".repeat(32));
const image: Hex = `0x${"15".repeat(32)}`;
const zeroAddress: Hex = `0x${"00".repeat(20)}`;
const highestTip = parseGwei("3");
const owner: Hex = `0x${devAccount(0).address.slice(2).toLowerCase()}`;

describe("tasks that sign, at an endpoint that lies", () => {
  let world: World;
  let rpc: LyingRpc;
  let directory: string;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let offered: AppId;
  let executorCode: Hex;
  let snapshot: string;
  let scenarios: readonly Scenario[];

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    rpc = await startLyingRpc(world.chain.rpcUrl);
    directory = await mkdtemp(join(tmpdir(), "dstack-hostile-"));
    await writeFile(join(directory, "package.json"), "{}");
    await writeFile(join(directory, "new.yml"), "services:\n  web:\n    image: nginx:1.29\n");
    const { onChain } = world.cvms;
    if (onChain?.appId === undefined) throw new Error("the world has an app");
    appId = onChain.appId;
    offered = await offerAnApp();
    executorCode = (await world.chain.client.getCode({ address: batchExecutorAddress })) ?? "0x";
    await sendBatch(world.ownerClient, {
      calls: [
        ...stale.map((composeHash) => addComposeHashCall({ appId, composeHash })),
        addDeviceCall({ appId, deviceId: staleDevice }),
      ],
      mode: "none",
    });
    scenarios = allScenarios();
    hre = await project();
    snapshot = await world.snapshot();
  });

  after(async () => {
    await rpc?.close();
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  function project({ isPinned = true } = {}): Promise<HardhatRuntimeEnvironment> {
    const { baseUrl } = world.cloud;
    return createHardhatRuntimeEnvironment(
      {
        plugins: [dstack],
        networks: {
          world: { type: "http", chainType: "op", url: rpc.url, ...(isPinned && { chainId: world.chain.id }) },
        },
        dstack: { ownerKey: devPrivateKey(0), cloud: { baseUrl, apiKey: world.apiKey }, kms: world.contracts.kms },
      },
      { network: "world" },
      directory,
    );
  }

  /** An app of another owner, who has offered it to ours. */
  async function offerAnApp(): Promise<AppId> {
    const { kms } = world.contracts;
    const account = devAccount(1);
    const client = world.ownerClient;
    const transactionHash = await deployApp(client, { account, kms, owner: account.address });
    const app = deployedApp(await waitForReceipt(client, { transactionHash, functionName: "deploy" }), { kms });
    await sendBatch(client, { account, calls: [transferOwnershipCall({ appId: app, newOwner: owner })] });
    return app;
  }

  function allScenarios(): Scenario[] {
    const { kms } = world.contracts;
    const app = { app: appId, yes: true };
    const onKms = { kms, yes: true };
    const accept = "in-use,running-hashes,prepare-tokens";
    const removals = stale.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
    const additions = hashes.map((composeHash) => addComposeHashCall({ appId, composeHash }));
    const implementation: Address = world.contracts.appImplementation;
    const scenario = (task: string, args: object, calls: readonly (OwnerCall | Call)[]): Scenario => ({
      task: task.split(" "),
      args: { ...args },
      calls: calls.map(({ to, data }) => ({ to, data })),
      authorizes: batchExecutorAddress,
    });
    const deployment = { kms, owner: newOwner, composeHash: hashes[0], deviceId: device };
    return [
      scenario("hash add", { ...app, hashes }, additions),
      scenario("hash add", { ...app, hashes, batch: "7702" }, additions),
      scenario("hash add", { ...app, hashes, batch: "auto:delegate" }, additions),
      scenario("hash add", { ...app, hashes: [hashes[0]], remove: stale.join(","), accept }, [
        ...additions.slice(0, 1),
        ...removals,
      ]),
      scenario("hash remove", { ...app, hashes: stale, accept, batch: "none" }, removals),
      scenario("device add", { ...app, devices: [device] }, [addDeviceCall({ appId, deviceId: device })]),
      scenario("device remove", { ...app, devices: [staleDevice], accept: "in-use,running-devices" }, [
        removeDeviceCall({ appId, deviceId: staleDevice }),
      ]),
      scenario("device allow-any", { ...app, state: "on", accept: "in-use,running-devices" }, [
        setAllowAnyDeviceCall({ appId, allowAny: true }),
      ]),
      scenario("prune", { ...app, keep: "0", store: ":memory:", accept: "other-machines" }, removals),
      scenario("owner transfer", { ...app, address: devAccount(2).address }, [
        transferOwnershipCall({ appId, newOwner: devAccount(2).address }),
      ]),
      scenario("owner accept", { app: offered, yes: true }, [acceptOwnershipCall({ appId: offered })]),
      scenario("kms add-os-image", { ...onKms, value: image }, [addOsImageHashCall({ kms, osImageHash: image })]),
      scenario("kms add-device", { ...onKms, value: device }, [addKmsDeviceCall({ kms, deviceId: device })]),
      scenario("kms set-app-implementation", { ...onKms, value: implementation, batch: "7702" }, [
        setAppImplementationCall({ kms, implementation }),
      ]),
      {
        ...scenario("app deploy", { ...onKms, owner: newOwner, hash: hashes[0], device }, [
          { ...encodeDeployApp(deployment), to: lowerCase(kms) },
        ]),
        authorizes: undefined,
      },
      {
        ...scenario("batch undo-delegation", { yes: true }, [{ to: owner, data: "0x" }]),
        authorizes: zeroAddress,
      },
      {
        ...scenario("update", { cvm: "onchain-app", compose: join(directory, "new.yml") }, []),
        authorizes: undefined,
        isCloudAsked: true,
      },
    ];
  }

  async function run(
    { task, args }: Scenario,
    lies: readonly Lie[],
    isDelegated: boolean,
    patienceMs = 30_000,
  ): Promise<TaskRun> {
    await world.restore(snapshot);
    await rm(join(directory, ".dstack"), { recursive: true, force: true });
    if (isDelegated)
      await world.chain.client.setCode({ address: owner, bytecode: concat(["0xef0100", batchExecutorAddress]) });
    // The attacker's contract can have any code, that of the executor too.
    rpc.tell([...lies, codeOf(attacker, executorCode)]);
    // An endpoint may make a task wait for minutes. A user would stop it.
    const stop = setTimeout(() => process.listeners("SIGTERM").at(-1)?.("SIGTERM"), patienceMs);
    try {
      return await runTask(hre, task, args);
    } finally {
      clearTimeout(stop);
    }
  }

  /** Every signature that the endpoint received is for what the command line means, within our limits. */
  async function judge(scenario: Scenario, { stdout }: TaskRun): Promise<readonly DecodedTransaction[]> {
    const signed = await signedTransactions(rpc);
    expect(rpc.requests, "asked to sign by itself").to.deep.equal([]);
    for (const transaction of signed) {
      expect(transaction.signer).to.equal(owner);
      expect(transaction.chainId).to.equal(world.chain.id);
      expect(transaction.value).to.equal(0n);
      expect(transaction.tip <= highestTip, `a tip of ${transaction.tip} wei per gas`).to.equal(true);
      expect(transaction.gas <= 3_000_000n, `${transaction.gas} gas`).to.equal(true);
      for (const call of meaningOf(transaction)) expect(await callsOf(scenario)).to.deep.include(call);
    }
    const authorizations = [...shownAuthorizations(rpc), ...signed.flatMap((one) => one.authorizations)];
    const isAsked = ["7702", "auto:delegate"].includes(String(scenario.args.batch));
    if (scenario.authorizes === batchExecutorAddress && !isAsked)
      expect(authorizations, "without the user's yes").to.deep.equal([]);
    for (const authorization of authorizations) {
      expect(authorization.address, "authorised").to.equal(scenario.authorizes);
      expect(authorization.chainId, "chain of the authorisation").to.equal(world.chain.id);
    }
    if (scenario.isCloudAsked !== true) expectShown(scenario, stdout, signed);
    return signed;
  }

  /** The calls a transaction makes, those inside a batch; none for the executor's own deployment. */
  function meaningOf({ to, data }: DecodedTransaction): readonly Call[] {
    expect(to, "creates a contract").to.not.equal(undefined);
    if (to === lowerCase(deterministicDeployer)) {
      expect(data).to.equal(batchExecutorDeployment);
      return [];
    }
    const batch = to === owner ? callsOfBatch(data) : undefined;
    return batch ?? [{ to: to ?? "0x", data }];
  }

  /** Of an update: the hash that this document has in the cloud, and the machine it is on. */
  async function callsOf({ calls, isCloudAsked }: Scenario): Promise<readonly Call[]> {
    if (isCloudAsked !== true) return calls;
    const data = await updateCalls();
    return data.map((one) => ({ to: appId, data: one }));
  }

  async function updateCalls(): Promise<readonly Hex[]> {
    using ledger = openLedger(join(directory, ".dstack", "ledger.sqlite"));
    const records = [...ledger.readNotes("update").values()] as readonly { readonly composeHash: Hex }[];
    return [
      ...records.map(({ composeHash }) =>
        encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args: [composeHash] }),
      ),
      ...world.nodes.map(({ deviceId }) =>
        encodeFunctionData({ abi: dstackAppAbi, functionName: "addDevice", args: [deviceId] }),
      ),
    ];
  }

  /** The text before the question covers every signature. */
  function expectShown({ task }: Scenario, stdout: string, signed: readonly DecodedTransaction[]): void {
    if (signed.length === 0) return;
    expect(stdout).to.contain(`chain ${world.chain.id}`);
    const most = BigInt(/^gas +[\d,]+ +([\d,]+)$/m.exec(stdout)?.[1]?.replaceAll(",", "") ?? "-1");
    expect(signed.reduce((sum, { gas }) => sum + gas, 0n) <= most, "gas beyond the plan").to.equal(true);
    expect(stdout).to.contain("priority fee at most 3 gwei");
    const known = stdout.toLowerCase();
    for (const transaction of signed) {
      for (const { to } of meaningOf(transaction)) expect(known, "the target was shown").to.contain(to);
      if (transaction.to === lowerCase(deterministicDeployer)) expect(stdout).to.contain("deploys the batch executor");
      if (transaction.to === owner && task[1] !== "undo-delegation") expect(stdout).to.contain("(batch 7702: ");
      for (const { address } of transaction.authorizations)
        expect(known).to.contain(
          task[1] === "undo-delegation"
            ? "an authorisation of the zero address"
            : `signs a delegation: the batch executor's code at ${address}`,
        );
      const first = Number(/first nonce (\d+),/.exec(stdout)?.[1] ?? Number.NaN);
      if (!Number.isNaN(first)) expect(transaction.nonce).to.be.within(0, first + 80);
    }
  }

  function find(task: string, batch?: string): Scenario {
    const found = scenarios.find((one) => one.task.join(" ") === task && one.args.batch === batch);
    if (found === undefined) throw new Error(`no scenario ${task}`);
    return found;
  }

  it("carry out every task when the endpoint tells the truth", async () => {
    for (const scenario of scenarios) {
      const isDelegated = scenario.task.includes("undo-delegation");
      const outcome = await run(scenario, [], isDelegated);
      expect(outcome.exitCode, `${scenario.task.join(" ")}: ${outcome.stderr}`).to.equal(0);
      expect(await judge(scenario, outcome), scenario.task.join(" ")).to.not.deep.equal([]);
    }
  }).timeout(60_000);

  it("sign nothing else, with random lies of the endpoint", async () => {
    const { kms, appImplementation } = world.contracts;
    const contracts = [appId, offered, kms, appImplementation].map(lowerCase);
    const untruths = arbitraryLies({ account: owner, contracts, executorCode });
    let signatures = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(scenarios.length - 1),
        fc.constantFrom(undefined, "auto:delegate", "none", "7702"),
        untruths,
        fc.boolean(),
        async (index, batch, lies, isDelegated) => {
          const found = scenarios[index];
          if (found === undefined) throw new Error("an index of a scenario");
          const takesBatch = found.authorizes === batchExecutorAddress;
          const scenario = takesBatch ? { ...found, args: { ...found.args, batch } } : found;
          signatures += (await judge(scenario, await run(scenario, lies, isDelegated, 1_500))).length;
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
    expect(signatures, "the lies leave something to sign").to.be.greaterThan(10);
  }).timeout(600_000);

  describe("with the lies of past findings", () => {
    it("S1: it says once that the account delegates to its contract", async () => {
      // The account is read several times: for the kind of owner, for the plan, and before the signature.
      for (const at of [0, 1, 2, 3, undefined])
        for (const scenario of [find("hash add", "auto:delegate"), find("hash add", "7702")]) {
          const lies = [codeOf(owner, concat(["0xef0100", attacker]), at)];
          const outcome = await run(scenario, lies, false);
          const signed = await judge(scenario, outcome);
          if (at === undefined) expect(signed.flatMap(({ authorizations }) => authorizations)).to.deep.equal([]);
        }
    });

    it("it says that the account delegates to an earlier executor, which may be replaced", async () => {
      for (const at of [0, 1, 2, 3, undefined])
        for (const batch of [undefined, "auto:delegate", "7702"]) {
          const scenario = find("hash add", batch);
          const lies = earlierBatchExecutors.map((earlier) => codeOf(owner, concat(["0xef0100", earlier]), at));
          await judge(scenario, await run(scenario, lies, false));
        }
    });

    it("S2: it names its contract in the receipt of the executor's deployment", async () => {
      const lies: Lie[] = [
        codeOf(deterministicDeployer, "0x"),
        codeOf(batchExecutorAddress, "0x"),
        { method: "eth_getTransactionReceipt", answer: { fields: { contractAddress: attacker } } },
      ];
      const scenario = find("hash add", "7702");
      const outcome = await run(scenario, lies, false);
      expect(await judge(scenario, outcome)).to.deep.equal([]);
      expect(outcome.exitCode).to.equal(3);
      expect(outcome.stderr).to.contain(deterministicDeployer);
    });

    it("it says that the chain has the id 0, for which an authorisation is valid on every chain", async () => {
      const configured = hre;
      hre = await project({ isPinned: false });
      try {
        for (const at of [undefined, 0, 1, 2]) {
          const scenario = find("hash add", "7702");
          await judge(scenario, await run(scenario, [{ method: "eth_chainId", at, answer: { value: "0x0" } }], false));
        }
      } finally {
        hre = configured;
      }
    });

    it("S3: it names a priority fee of millions of gwei", async () => {
      const tip: Lie = { method: "eth_maxPriorityFeePerGas", answer: { value: numberToHex(parseGwei("9000000")) } };
      const hidden = [codeOf(deterministicDeployer, "0x"), codeOf(batchExecutorAddress, "0x")];
      for (const lies of [[tip], [tip, ...hidden], [tip, codeOf(batchExecutorAddress, "0x", 0)]])
        for (const scenario of [find("hash add", "auto:delegate"), find("hash add", "7702"), find("app deploy")])
          await judge(scenario, await run(scenario, lies, false));
    });
  });
});

function codeOf(of: Hex, value: Hex, at?: number): Lie {
  return { method: "eth_getCode", of, at, answer: { value } };
}

/** Owns the app that a task deploys. */
const newOwner: Address = `0x${"b5".repeat(20)}`;

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
