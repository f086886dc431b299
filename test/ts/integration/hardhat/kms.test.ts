import { createHash } from "node:crypto";
import { expect } from "chai";
import { encodeFunctionData, getAddress, type Hex, numberToHex } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { dstackAppAbi, dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";

const newValue: Hex = `0x${createHash("sha256").update("something new").digest("hex")}`;

const isMulticall = (address: string) => address.toLowerCase() === base.contracts.multicall3.address.toLowerCase();

describe("tasks dstack kms and dstack boot-check", () => {
  let world: World;
  let untouched: string;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(() => world.restore(untouched));
  after(() => world.close());

  const run = async (
    task: readonly string[],
    args: Record<string, unknown> = {},
    ownerKey = devPrivateKey(0),
  ): Promise<TaskRun> => runTask(await projectOf(world, { ownerKey, kms: world.contracts.kms }), task, args);
  const knownImage = () => world.osImages[0].hash;

  describe("kms", () => {
    it("shows the KMS, and whether it allows the given values", async () => {
      const shown = await run(["kms", "show"], { osImage: knownImage(), json: true });
      expect(shown.exitCode, shown.stderr).to.equal(0);
      expect(shown.json()).to.deep.include({
        kms: world.contracts.kms.toLowerCase(),
        chainId: 8453,
        isTwoStep: true,
        pendingOwner: null,
        appImplementation: getAddress(world.contracts.appImplementation),
        owner: { address: world.owner.address, kind: "eoa", isUsed: true },
        osImages: [{ value: knownImage(), isAllowed: true }],
      });
      const refused = await run(["kms", "show"], { osImage: `${knownImage()},${newValue}`, device: newValue });
      expect(refused.exitCode).to.equal(6);
      expect(refused.stdout).to.include(`${knownImage()}  allowed`).and.to.include(`${newValue}  NOT ALLOWED`);
    });

    it("says of an answer that it cannot read that it is not known", async () => {
      const view = encodeFunctionData({ abi: dstackKmsAbi, functionName: "allowedOsImages", args: [knownImage()] });
      const rpc = await startServer(async (response, { body }) => {
        const call = JSON.parse(body) as { id: number; method: string; params?: [{ to?: string; data?: string }] };
        const { to = "", data } = call.params?.[0] ?? {};
        const lie = data === view ? numberToHex(2, { size: 32 }) : isMulticall(to) ? "0x" : undefined;
        if (call.method === "eth_call" && lie !== undefined)
          return sendJson(response, 200, { jsonrpc: "2.0", id: call.id, result: lie });
        const headers = { "content-type": "application/json" };
        sendJson(response, 200, await (await fetch(world.chain.rpcUrl, { method: "POST", headers, body })).json());
      });
      const networks = { world: { type: "http", url: rpc.url } } as const;
      const hre = await projectOf(world, { kms: world.contracts.kms }, { networks });
      const args = { osImage: knownImage() };
      const [shown, json] = [
        await runTask(hre, ["kms", "show"], args),
        await runTask(hre, ["kms", "show"], { ...args, json: true }),
      ];
      expect(shown.stdout).to.include(`${knownImage()}  not known: the contract's answer is not readable`);
      expect([shown.exitCode, json.json<{ osImages: unknown }>().osImages]).to.deep.equal([
        6,
        [{ value: knownImage(), isAllowed: null }],
      ]);
      await rpc.close();
    });

    it("uses the configured KMS, although the cloud names another", async () => {
      const other = `0x${"0c".repeat(20)}`;
      const project = await projectOf(world, { kms: other });
      const refused = await runTask(project, ["kms", "show"], { cvm: "onchain-app", json: true });
      expect(refused.json<{ error: { name: string; message: string } }>().error)
        .to.include({ name: "InvalidArgumentError" })
        .and.to.have.property("message")
        .that.includes(other);
      const named = await runTask(project, ["kms", "show"], {
        cvm: "onchain-app",
        kms: world.contracts.kms,
        json: true,
      });
      expect(named.exitCode, named.stdout).to.equal(0);
    });

    it("finds the KMS of a CVM", async () => {
      const hre = await projectOf(world);
      const shown = await runTask(hre, ["kms", "show"], { cvm: "onchain-app", json: true });
      expect(shown.json()).to.include({ kms: world.contracts.kms.toLowerCase() });
    });

    for (const [list, option] of [
      ["os-image", "osImage"],
      ["device", "device"],
      ["measurement", "measurement"],
    ] as const) {
      it(`adds and removes a ${list}`, async () => {
        const isAllowed = async () => (await run(["kms", "show"], { [option]: newValue })).exitCode === 0;
        expect(await isAllowed()).to.equal(false);
        const added = await run(["kms", `add-${list}`], { value: newValue, yes: true, json: true });
        expect(added.exitCode, added.stderr).to.equal(0);
        expect(added.json<{ transactions: unknown[] }>().transactions).to.have.lengthOf(1);
        expect(await isAllowed()).to.equal(true);
        const removed = await run(["kms", `remove-${list}`], { value: newValue, yes: true });
        expect(removed.exitCode, removed.stderr).to.equal(0);
        expect(removed.stdout).to.match(/gas/);
        expect(await isAllowed()).to.equal(false);
      });
    }

    it("sets the implementation of new apps", async () => {
      const { kms } = world.contracts;
      const chosen = await run(["kms", "set-app-implementation"], { value: kms, yes: true });
      expect(chosen.exitCode, chosen.stderr).to.equal(0);
      const { appImplementation } = (await run(["kms", "show"], { json: true })).json<{ appImplementation: string }>();
      expect(appImplementation.toLowerCase()).to.equal(kms.toLowerCase());
    });

    const refused: readonly [string, string, Record<string, unknown>, number, string][] = [
      ["a SHA-384", "add-os-image", { value: "a1".repeat(48) }, 2, "sha384-value"],
      ["zero", "add-os-image", { value: "00".repeat(32) }, 2, "zero-value"],
      ["a cut hash", "add-os-image", { value: "a1".repeat(31) }, 2, "DSTK-1001"],
      ["an image that is allowed already, before it asks,", "add-os-image", { yes: false }, 3, "DSTK-2202"],
      ["an unlisted image", "remove-os-image", { value: newValue }, 3, "DSTK-2202"],
      ["an address without code", "set-app-implementation", { value: devAccount(5).address }, 3, "DSTK-2003"],
      ["an app in place of the KMS", "show", { kms: "app" }, 2, "is an app, not a DstackKms"],
      ["an app in place of the KMS", "add-os-image", { kms: "app" }, 2, "is an app, not a DstackKms"],
      ["an address without a contract", "show", { kms: devAccount(5).address }, 2, "no contract at the KMS address"],
      ["an address without a contract", "remove-device", { kms: devAccount(5).address }, 2, "no contract at the KMS"],
    ];
    for (const [what, task, args, exitCode, words] of refused) {
      it(`${task} refuses ${what}`, async () => {
        const value = task === "show" ? {} : { value: knownImage(), yes: true };
        const kms = args.kms === "app" ? { kms: world.cvms.onChain?.appId } : {};
        const told = await run(["kms", task], { ...value, ...args, ...kms });
        expect(told.stderr)
          .to.match(/^DSTK-\d{4} .+\n.+\n$/)
          .and.to.include(words);
        expect(told.exitCode).to.equal(exitCode);
      });
    }

    it("sends nothing with a stranger's key", async () => {
      const told = await run(["kms", "add-os-image"], { value: newValue, yes: true }, devPrivateKey(1));
      expect([told.exitCode, told.stderr.slice(0, 9)]).to.deep.equal([3, "DSTK-2004"]);
    });
  });

  describe("boot-check", () => {
    interface Check {
      readonly appId: string;
      readonly wouldBoot: boolean;
      readonly reason: string;
      readonly rules: readonly { rule: string; isMet?: boolean }[];
    }
    const unmet = ({ rules }: Check) => rules.filter(({ isMet }) => isMet !== true).map(({ rule }) => rule);

    it("says for each rule that a running CVM would boot", async () => {
      const told = await run(["boot-check"], { cvm: "onchain-app" });
      expect(told.exitCode, told.stderr).to.equal(0);
      expect(told.stdout)
        .to.include("It would boot")
        .and.to.match(/^app +device +met/m);
      const checked = (await run(["boot-check"], { cvm: "onchain-app", json: true })).json<Check>();
      expect(checked.rules.map(({ rule }) => rule)).to.deep.equal([
        "registered",
        "osImage",
        "code",
        "tcbStatus",
        "composeHash",
        "device",
      ]);
      expect([checked.wouldBoot, unmet(checked)]).to.deep.equal([true, []]);
      expect(checked.appId).to.equal(world.cvms.onChain?.appId);
    });

    it("names every rule that is not met, where the contract names the first", async () => {
      const told = await run(["boot-check"], {
        cvm: "onchain-app",
        hash: newValue,
        device: newValue,
        osImage: newValue,
        json: true,
      });
      expect(told.exitCode).to.equal(6);
      const checked = told.json<Check>();
      expect(checked).to.include({ wouldBoot: false, reason: "OS image is not allowed" });
      expect(unmet(checked)).to.deep.equal(["osImage", "composeHash", "device"]);
      const forPeople = await run(["boot-check"], { cvm: "onchain-app", hash: newValue });
      expect(forPeople.stdout).to.include("IT WOULD NOT BOOT").and.to.include("Compose hash not allowed");
    });

    it("checks the device list and the TCB status only when they are required", async () => {
      const appId = world.cvms.onChain?.appId ?? parseAppId("");
      const client = world.ownerClient;
      await setAllowAnyDevice(client, { appId, allowAnyDevice: true });
      const anywhere = { cvm: "onchain-app", device: newValue, tcbStatus: "OutOfDate", json: true };
      expect(unmet((await run(["boot-check"], anywhere)).json<Check>())).to.deep.equal([]);
      const abi = dstackAppAbi;
      await writeContract(client, { abi, address: appId, functionName: "setRequireTcbUpToDate", args: [true] });
      const told = await run(["boot-check"], anywhere);
      expect(told.exitCode).to.equal(6);
      expect(told.json()).to.include({ reason: "TCB status is not up to date" });
      expect(unmet(told.json<Check>())).to.deep.equal(["tcbStatus"]);
      expect((await run(["boot-check"], { ...anywhere, tcbStatus: "UpToDate" })).exitCode).to.equal(0);
    });

    it("needs no cloud when every value is given", async () => {
      const hre = await projectOf(world, { cloud: { apiKey: "" }, kms: world.contracts.kms });
      const given = { app: devAccount(5).address, hash: newValue, device: newValue, osImage: knownImage() };
      const told = await runTask(hre, ["boot-check"], { ...given, json: true });
      expect(told.exitCode, told.stderr).to.equal(6);
      const checked = told.json<Check>();
      expect(checked.reason).to.equal("App not registered");
      expect(unmet(checked)).to.deep.equal(["registered", "code", "tcbStatus", "composeHash", "device"]);
    });

    it("refuses an app in place of the KMS", async () => {
      const told = await run(["boot-check"], { cvm: "onchain-app", kms: world.cvms.onChain?.appId });
      expect([told.exitCode, told.stderr.includes("is an app, not a DstackKms")]).to.deep.equal([2, true]);
    });

    it("names each missing value in one sentence", async () => {
      const app = world.cvms.onChain?.appId;
      for (const [args, words] of [
        [{ app }, "--hash"],
        [{ app, hash: newValue }, "--device"],
        [{ app, hash: newValue, device: newValue }, "--os-image"],
        [{ app, hash: "0x12" }, "DSTK-1001"],
      ] as const) {
        const told = await run(["boot-check"], args);
        expect(told.exitCode).to.equal(2);
        expect(told.stderr)
          .to.match(/^DSTK-1\d{3} .+\n.+\n$/)
          .and.to.include(words);
      }
      const hre = await projectOf(world, { cloud: { apiKey: "" } });
      const told = await runTask(hre, ["boot-check"], { app, hash: newValue, device: newValue, osImage: newValue });
      expect(told.stderr).to.include("No KMS was named");
    });
  });
});
