import { readFile, rm } from "node:fs/promises";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, getAddress, type Hex } from "viem";
import { waitForTransactionReceipt, writeContract } from "viem/actions";
import { sendBatch } from "../../../../../src/batch/send-batch.ts";
import { readAllowlist, readOwnership } from "../../../../../src/chain/read-app.ts";
import { readKmsStatus } from "../../../../../src/chain/read-kms.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../../../../../src/core/ids.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  addDeviceCall,
  transferOwnershipCall,
} from "../../../../../src/core/owner-calls.ts";
import { dstackKmsAbi } from "../../../../../src/generated/abi.ts";
import { devAccount } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { deploySafe, deployTimelock, executeSafe } from "../../../../support/chain/deploy-owner-contracts.ts";
import { multiSend, multiSendCode } from "../../../../support/chain/safe.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";

interface Prepared {
  readonly appId?: AppId;
  readonly kms?: Address;
  readonly chainId: number;
  readonly mode: string;
  readonly reason: string;
  readonly safe: Address;
  readonly threshold: string;
  readonly owners: readonly Address[];
  readonly calls: readonly { readonly description: string; readonly status: string }[];
  readonly file: string;
  readonly safeTx: { readonly to: Address; readonly data: Hex; readonly operation: number };
  readonly safeTxHash: Hex;
}

const listed = parseComposeHash("a1".repeat(32));
const newHash = parseComposeHash("a2".repeat(32));
const listedDevice = parseDeviceId("d1".repeat(32));
const newDevice = parseDeviceId("d2".repeat(32));
const newValue: Hex = `0x${"e1".repeat(32)}`;

describe("tasks on contracts of a Safe, with the default way to send", () => {
  let world: World;
  let keyless: HardhatRuntimeEnvironment;
  let appId: AppId;
  let kms: Address;
  let safe: Address;
  let untouched: string;
  const written: string[] = [];

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    const { owner, ownerClient, chain, cvms, contracts } = world;
    if (cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = cvms.onChain.appId;
    kms = contracts.kms;
    await chain.client.setCode({ address: multiSend, bytecode: multiSendCode });
    safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
    await sendBatch(ownerClient, {
      mode: "none",
      calls: [
        addComposeHashCall({ appId, composeHash: listed }),
        addDeviceCall({ appId, deviceId: listedDevice }),
        transferOwnershipCall({ appId, newOwner: safe }),
      ],
    });
    const offer = { abi: dstackKmsAbi, address: kms, functionName: "transferOwnership", args: [safe] } as const;
    const hash = await writeContract(ownerClient, { ...offer, account: owner, chain: ownerClient.chain });
    await waitForTransactionReceipt(ownerClient, { hash });
    const accept = { data: acceptOwnershipCall({ appId }).data, operation: 0 };
    for (const to of [appId, kms]) await executeSafe(ownerClient, owner, { safe, to, ...accept });
    keyless = await projectWithoutKey();
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(async () => {
    await world.restore(untouched);
    await Promise.all(written.splice(0).map((file) => rm(file, { force: true })));
  });
  after(() => world?.close());

  function projectWithoutKey() {
    const networks = { world: { type: "http" as const, url: world.chain.rpcUrl, accounts: [] } };
    return projectOf(world, { ownerKey: "", apps: { shop: appId }, kms }, { networks });
  }
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
  const ownership = () => readOwnership(world.ownerClient, { appId });
  const allowlist = (asked: object) => readAllowlist(world.ownerClient, { appId, ...asked });
  const kmsStatus = (asked: object) => readKmsStatus(world.ownerClient, { kms, ...asked });
  const errorOf = (outcome: TaskRun) =>
    outcome.json<{ error: { code: string; nextStep: string; context: Record<string, unknown> } }>().error;

  async function prepare(task: readonly string[], args: Record<string, unknown> = {}): Promise<Prepared> {
    const block = await head();
    const outcome = await runTask(keyless, task, { ...args, json: true });
    expect(outcome.exitCode, outcome.stderr).to.equal(0);
    expect(await head(), "something was sent").to.equal(block);
    const prepared = outcome.json<Prepared>();
    written.push(prepared.file);
    return prepared;
  }
  const execute = (as: Address, { safeTx }: Prepared) =>
    executeSafe(world.ownerClient, world.owner, { safe: as, ...safeTx });

  const changes: readonly (readonly [
    task: readonly string[],
    args: Record<string, unknown>,
    calls: readonly string[],
    isDone: () => Promise<boolean | undefined>,
  ])[] = [
    [
      ["hash", "add"],
      { hashes: [newHash] },
      [`allow compose hash ${newHash}`],
      async () => (await allowlist({ composeHash: newHash })).composeHashAllowed,
    ],
    [
      ["hash", "add"],
      { hashes: [newHash], remove: listed },
      [`allow compose hash ${newHash}`, `remove compose hash ${listed}`],
      async () =>
        (await allowlist({ composeHash: newHash })).composeHashAllowed &&
        !(await allowlist({ composeHash: listed })).composeHashAllowed,
    ],
    [
      ["hash", "remove"],
      { hashes: [listed] },
      [`remove compose hash ${listed}`],
      async () => !(await allowlist({ composeHash: listed })).composeHashAllowed,
    ],
    [
      ["device", "add"],
      { devices: [newDevice] },
      [`allow device ${newDevice}`],
      async () => (await allowlist({ deviceId: newDevice })).deviceListed,
    ],
    [
      ["device", "remove"],
      { devices: [listedDevice] },
      [`remove device ${listedDevice}`],
      async () => !(await allowlist({ deviceId: listedDevice })).deviceListed,
    ],
    [["device", "allow-any"], { state: "on" }, ["allow any device"], async () => (await allowlist({})).allowAnyDevice],
    [
      ["owner", "transfer"],
      { address: devAccount(1).address },
      [`offer ownership to ${devAccount(1).address.toLowerCase()}`],
      async () => (await ownership()).pendingOwner === devAccount(1).address,
    ],
    [
      ["kms", "add-os-image"],
      { value: newValue },
      [`allow OS image ${newValue}`],
      async () => (await kmsStatus({ osImageHashes: [newValue] })).osImages.every(({ isAllowed }) => isAllowed),
    ],
    [
      ["kms", "add-device"],
      { value: newValue },
      [`allow KMS device ${newValue}`],
      async () => (await kmsStatus({ deviceIds: [newValue] })).devices.every(({ isAllowed }) => isAllowed),
    ],
  ];
  for (const [task, args, calls, isDone] of changes) {
    const withWhat = Object.keys(args).slice(1).join("");
    it(`dstack ${task.join(" ")}${withWhat && ` --${withWhat}`} prepares it, without a key, and the Safe does it`, async () => {
      const prepared = await prepare(task, args);
      expect(prepared).to.deep.include({
        ...(task[0] === "kms" ? { kms: kms.toLowerCase() } : { appId }),
        chainId: 8453,
        mode: "safe",
        reason: "only a Safe can make these calls",
        safe: getAddress(safe),
        threshold: "1",
        owners: [world.owner.address],
        calls: calls.map((description) => ({ description, status: "prepared" })),
      });
      expect(prepared.safeTxHash).to.match(/^0x[0-9a-f]{64}$/);
      expect(prepared.safeTx.operation).to.equal(calls.length === 1 ? 0 : 1);
      const file = JSON.parse(await readFile(prepared.file, "utf8"));
      expect(file).to.have.property("chainId", "8453");
      expect(file.transactions).to.have.lengthOf(calls.length);
      expect(await isDone()).to.equal(false);
      await execute(safe, prepared);
      expect(await isDone()).to.equal(true);
    });
  }

  it("dstack owner accept prepares a file when a Safe is the pending owner, with any owner", async () => {
    const { owner, ownerClient } = world;
    const invited = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
    await execute(safe, await prepare(["owner", "transfer"], { address: invited }));
    const prepared = await prepare(["owner", "accept"]);
    expect(prepared).to.include({ appId, mode: "safe", safe: getAddress(invited) });
    await execute(invited, prepared);
    expect(await ownership()).to.include({ owner: getAddress(invited), pendingOwner: undefined });
  });

  it("says in one line that nothing was sent, and why", async () => {
    const outcome = await runTask(keyless, ["hash", "add"], { hashes: [newHash] });
    const [, file = ""] = /file for the Transaction Builder +(\S+)/.exec(outcome.stdout) ?? [];
    written.push(file);
    expect([outcome.exitCode, outcome.stderr]).to.deep.equal([0, ""]);
    expect(outcome.stdout).to.match(/^Nothing was sent: only a Safe can make these calls\..* 1 of 1 must sign:$/m);
    expect(outcome.stdout).to.match(/hash their wallets must show +0x[0-9a-f]{64}$/m);
  });

  it("says that the use of a hash may change before the owners sign its removal", async () => {
    for (const [task, args, isSaid] of [
      [["hash", "remove"], { hashes: [listed] }, true],
      [["hash", "add"], { hashes: [newHash] }, false],
    ] as const) {
      const outcome = await runTask(keyless, task, { ...args, json: true });
      written.push(outcome.json<Prepared>().file);
      expect(outcome.stderr.includes("A CVM may start to use what is removed")).to.equal(isSaid);
    }
  });

  it("does not overwrite another file for the same nonce", async () => {
    const one = await prepare(["hash", "add"], { hashes: [newHash] });
    const other = await prepare(["device", "add"], { devices: [newDevice] });
    const again = await prepare(["hash", "add"], { hashes: [newHash] });
    expect(other.file).to.not.equal(one.file);
    expect(again.file).to.equal(one.file);
    expect(JSON.parse(await readFile(one.file, "utf8")).transactions[0].data).to.equal(one.safeTx.data);
  });

  it("names the pending owner when another account accepts", async () => {
    await execute(safe, await prepare(["owner", "transfer"], { address: devAccount(1).address }));
    const project = await projectOf(world, { apps: { shop: appId } });
    const outcome = await runTask(project, ["owner", "accept"], { yes: true, json: true });
    expect([outcome.exitCode, errorOf(outcome).code]).to.deep.equal([3, "DSTK-2004"]);
    expect(errorOf(outcome).context).to.include({ invited: devAccount(1).address, signer: world.owner.address });
  });

  it("refuses to send with a key that is not the owner's, and says what to do", async () => {
    const project = await projectOf(world, { apps: { shop: appId } });
    for (const batch of ["none", "7702"]) {
      const block = await head();
      const outcome = await runTask(project, ["hash", "add"], { hashes: [newHash], batch, yes: true, json: true });
      expect(outcome.exitCode).to.equal(3);
      expect(errorOf(outcome)).to.deep.include({ code: "DSTK-2005" });
      expect(errorOf(outcome).nextStep).to.include("--batch safe");
      expect(await head()).to.equal(block);
    }
  });

  it("says who must act when the owner is a timelock or another contract", async () => {
    const { owner, ownerClient } = world;
    const timelock = await deployTimelock(ownerClient, owner, 60n);
    const other = `0x${"0c".repeat(20)}` as const;
    await world.chain.client.setCode({ address: other, bytecode: "0x5f5f5f5f5f5f5ff100" });
    const project = await projectOf(world, { apps: { shop: appId } });
    for (const [contract, kind, words] of [
      [timelock, "timelock", ["PROPOSER_ROLE", "EXECUTOR_ROLE", "buildTimelockBatch"]],
      [other, "contract", ["Propose"]],
    ] as const) {
      const state = await world.snapshot();
      await execute(safe, await prepare(["owner", "transfer"], { address: contract }));
      const accepted = await runTask(project, ["owner", "accept"], { yes: true, json: true });
      expect([accepted.exitCode, errorOf(accepted).code]).to.deep.equal([3, "DSTK-2005"]);
      expect(errorOf(accepted).context).to.include({ invited: getAddress(contract), ownerKind: kind });
      // The chain accepts transactions of this contract without a signature.
      await world.chain.client.impersonateAccount({ address: contract });
      await world.chain.client.setBalance({ address: contract, value: 10n ** 18n });
      await writeContract(world.chain.client, {
        abi: [{ type: "function", name: "acceptOwnership", inputs: [], outputs: [], stateMutability: "nonpayable" }],
        address: appId,
        functionName: "acceptOwnership",
        account: contract,
        chain: ownerClient.chain,
      });
      expect((await ownership()).owner).to.equal(getAddress(contract));
      const outcome = await runTask(project, ["hash", "add"], { hashes: [newHash], yes: true, json: true });
      expect([outcome.exitCode, errorOf(outcome).code]).to.deep.equal([3, "DSTK-2005"]);
      expect(errorOf(outcome).context).to.include({ ownerKind: kind });
      const add = { hashes: [newHash], yes: true, json: true, accept: "owner-cannot-sign" };
      const unsigned = await runTask(keyless, ["hash", "add"], add);
      expect([unsigned.exitCode, errorOf(unsigned).code]).to.deep.equal([5, "DSTK-4006"]);
      for (const word of words) for (const told of [outcome, unsigned]) expect(errorOf(told).nextStep).to.include(word);
      await world.restore(state);
    }
  });
});
