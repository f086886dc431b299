import { createServer } from "node:net";
import { expect } from "chai";
import { createWalletClient, custom, parseEther } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { type ComposeHash, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import {
  ContractOwnerError,
  CvmNotFoundError,
  HashExpiredError,
  HashMismatchError,
  HashNotAllowedError,
  InsufficientFundsError,
  InvalidAppComposeError,
  InvalidArgumentError,
  KmsDowngradeError,
  NotOwnerError,
  RolloverFailedError,
  RpcUnavailableError,
  SignerRequiredError,
  UnauthorizedError,
  UnexpectedDeviceError,
  UnprovenDocumentError,
  UnprovenEncryptionKeyError,
  UntrustedEncryptionKeyError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import type { UpdateCvmParameters } from "../../../../src/update/connect.ts";
import type { UpdateEvent } from "../../../../src/update/events.ts";
import { Crash } from "../../../support/ledger/crashing-ledger.ts";
import { apiKey, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { startRpcServer } from "../../../support/update/rpc-server.ts";
import {
  beforeConfirming,
  chainOf,
  countTransactions,
  createCvm,
  createCvmOffChain,
  disallowDevice,
  dyingAt,
  offChain,
  readAppHistory,
  startUpdateWorld,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
const otherCompose = "services:\n  app:\n    image: nginx:3\n";
const blue = [{ key: "MODE", value: "blue" }];
const green = [{ key: "MODE", value: "green" }];

describe("updateCvm", () => {
  let world: UpdateWorld;
  before(async () => {
    world = await startUpdateWorld();
  });
  after(() => world.close());

  function updatesOf({ id }: TestCvm) {
    return world.cloud.readHistory(id).filter(({ kind }) => kind === "update");
  }

  /** Number of the owner's transactions that were mined meanwhile. */
  async function paying<Outcome>(work: () => Promise<Outcome>): Promise<{ outcome: Outcome; paid: number }> {
    const before = await countTransactions(world);
    const outcome = await work();
    return { outcome, paid: (await countTransactions(world)) - before };
  }

  it("changes a stopped CVM and leaves it stopped", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const stop = await fetch(`${world.cloud.baseUrl}/cvms/${cvm.id}/stop`, {
      method: "POST",
      headers: { "X-API-Key": apiKey },
    });
    expect(stop.ok).to.equal(true);
    await world.cloud.whenIdle();

    const result = await update(world, cvm, { ledger: memoryLedger(), dockerCompose });
    expect(result).to.include({ outcome: "updated", status: "stopped" });
    const { status, composeHash } = await getCvm(world.client, { cvm: cvm.id });
    expect([status, composeHash]).to.deep.equal(["stopped", result.composeHash]);
  });

  it("updates compose file and environment of a CVM, and reports every step", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const events: UpdateEvent[] = [];
    const { outcome: result, paid } = await paying(() =>
      update(world, cvm, {
        ledger: memoryLedger(),
        dockerCompose,
        environment: green,
        onStep: (event) => events.push(event),
      }),
    );

    expect(paid).to.equal(1);
    expect(result).to.include({
      outcome: "updated",
      appId: cvm.appId,
      previousComposeHash: cvm.composeHash,
      isResumed: false,
    });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(green);
    const [operation, ...more] = updatesOf(cvm);
    expect(more).to.deep.equal([]);
    const [transaction] = result.transactions;
    expect(operation).to.deep.include({
      state: "done",
      composeHash: result.composeHash,
      correlationId: result.correlationId,
      transactionHash: transaction?.transactionHash,
    });
    expect(transaction?.gasUsed).to.satisfy((gas: bigint) => gas > 21_000n && gas < 80_000n);
    expect(transaction?.costWei).to.satisfy((cost: bigint) => cost > 0n);

    const steps = [
      "readCvm",
      "buildDocument",
      "proveDocument",
      "encryptEnvironment",
      "patch",
      "checkHash",
      "readChain",
      "pay",
      "confirm",
      "followRollover",
      "awaitFinality",
    ];
    expect(events.flatMap((event) => (event.kind === "started" ? [event.step] : []))).to.deep.equal(steps);
    expect(result.steps.map(({ step }) => step)).to.deep.equal(steps);
    const patches = events.filter((event) => event.kind === "http" && event.method === "PATCH");
    expect(patches.map((event) => "status" in event && event.status)).to.deep.equal([465, 202]);
    expect(events.find((event) => event.kind === "transaction")).to.have.nested.property("event.isFromRecord", false);
  });

  it("allows the device first when it is not allowed", async () => {
    const cvm = await createCvm(world);
    await disallowDevice(world, cvm);
    const { outcome: result, paid } = await paying(() => update(world, cvm, { ledger: memoryLedger(), dockerCompose }));
    expect(paid).to.equal(2);
    expect(result.transactions.map(({ step }) => step)).to.deep.equal(["addDevice", "addComposeHash"]);
    expect(updatesOf(cvm)).to.have.length(1);
  });

  it("allows no device when any device may boot", async () => {
    const cvm = await createCvm(world, { allowAnyDevice: true });
    await disallowDevice(world, cvm);
    const { paid } = await paying(() => update(world, cvm, { ledger: memoryLedger(), dockerCompose }));
    expect(paid).to.equal(1);
  });

  it("replaces the environment alone without a transaction, a signer or a chain", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const { outcome: result, paid } = await paying(async () =>
      update(world, cvm, { ledger: memoryLedger(), environment: green, chain: chainOf(await deadRpc()) }),
    );
    expect(paid).to.equal(0);
    expect(result).to.deep.include({ outcome: "environmentReplaced", composeHash: cvm.composeHash, transactions: [] });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(green);
  });

  it("registers a hash when the names in the environment change", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const environment = [...green, { key: "LEVEL", value: "3" }];
    const { outcome: result, paid } = await paying(() => update(world, cvm, { ledger: memoryLedger(), environment }));
    expect(paid).to.equal(1);
    expect(result).to.include({ outcome: "updated" });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(environment);
  });

  it("clears the environment when its option is set", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const result = await update(world, cvm, { ledger: memoryLedger(), clearEnvironment: true });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([]);
    expect(result.droppedVariables).to.deep.equal([{ name: "MODE", isUsed: false }]);
  });

  it("does not change a CVM that runs the requested document", async () => {
    const cvm = await createCvm(world);
    const { outcome: result, paid } = await paying(() =>
      update(world, cvm, { ledger: memoryLedger(), dockerCompose: "services:\n  app:\n    image: nginx:1\n" }),
    );
    expect(paid).to.equal(0);
    expect(result).to.include({ outcome: "unchanged", composeHash: cvm.composeHash });
    expect(updatesOf(cvm)).to.deep.equal([]);
  });

  it("needs no chain on an off-chain KMS", async () => {
    const cvm = await createCvmOffChain(world, { environment: blue });
    const request = { ledger: memoryLedger(), dockerCompose, environment: green };
    const result = await update(world, cvm, { ...request, ...offChain(world, cvm) });
    expect(result).to.deep.include({ outcome: "updated", previousComposeHash: cvm.composeHash, transactions: [] });
    expect(updatesOf(cvm)[0]).to.include({ state: "done", composeHash: result.composeHash });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(green);
  });

  it("finds the CVM by each of its names, and its record under all of them", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    await catchError(update(world, cvm, { ledger: dyingAt(ledger, "markSent"), dockerCompose }), Error);
    const { outcome: result, paid } = await paying(() =>
      update(world, cvm, { ledger, dockerCompose, cvm: `app_${cvm.appId.slice(2)}` }),
    );
    expect(paid).to.equal(0);
    expect(result).to.include({ outcome: "updated", isResumed: true });
  });

  describe("to a hash that the app allows already", () => {
    async function withEarlierHash(): Promise<TestCvm> {
      const cvm = await createCvm(world);
      await update(world, cvm, { ledger: memoryLedger(), dockerCompose });
      await update(world, cvm, { ledger: memoryLedger(), dockerCompose: otherCompose });
      return cvm;
    }

    it("pays nothing, and lets the cloud check the contract's state", async () => {
      const cvm = await withEarlierHash();
      const { outcome: back, paid } = await paying(() => update(world, cvm, { ledger: memoryLedger(), dockerCompose }));
      expect(paid).to.equal(0);
      expect(back).to.deep.include({ outcome: "updated", registration: "already-registered", transactions: [] });
      expect(updatesOf(cvm).at(-1)).to.include({ transactionHash: "already-registered" });
    });

    it("needs no key, and no key of the owner", async () => {
      const cvm = await withEarlierHash();
      await transferToContract(world, cvm);
      const back = await update(world, cvm, { ledger: memoryLedger(), dockerCompose, chain: chainOf(world) });
      expect(back).to.include({ outcome: "updated", registration: "already-registered" });
      const stranger = chainOf(world, world.dstack.stranger);
      const forth = await update(world, cvm, {
        ledger: memoryLedger(),
        dockerCompose: otherCompose,
        chain: stranger,
      });
      expect(forth).to.include({ outcome: "updated", registration: "already-registered" });
    });

    it("pays for the device alone, also if it was interrupted after that", async () => {
      const cvm = await withEarlierHash();
      await disallowDevice(world, cvm);
      const ledger = memoryLedger();
      const { outcome: back, paid } = await paying(async () => {
        await catchError(update(world, cvm, { ledger: dyingAt(ledger, "confirming"), dockerCompose }), Crash);
        return update(world, cvm, { ledger, dockerCompose });
      });
      expect(paid).to.equal(1);
      expect(back).to.include({ outcome: "updated", registration: "already-registered", isResumed: true });
      expect(back.allowedDevice).to.include({ deviceId: world.dstack.deviceId });
      expect(ledger.batches({ isOpen: true })).to.deep.equal([]);
    });
  });

  it("sends none when a recorded transaction proves the hash", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const first = await update(world, cvm, { ledger, dockerCompose });
    await update(world, cvm, { ledger, dockerCompose: otherCompose });
    const { outcome: back, paid } = await paying(() => update(world, cvm, { ledger, dockerCompose }));
    expect(paid).to.equal(0);
    expect(back.transactions).to.deep.equal(first.transactions.map((one) => ({ ...one, isFromRecord: true })));
    expect(updatesOf(cvm)).to.have.length(3);
  });

  it("sends it again when the proven hash was pruned later", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const first = await update(world, cvm, { ledger, dockerCompose });
    await update(world, cvm, { ledger, dockerCompose: otherCompose });
    await removeHash(world, cvm, first.composeHash ?? cvm.composeHash);
    const { outcome: back, paid } = await paying(() => update(world, cvm, { ledger, dockerCompose }));
    expect(paid).to.equal(1);
    expect(back).to.include({ outcome: "updated", composeHash: first.composeHash });
  });

  it("waits until a busy CVM is idle", async () => {
    const cvm = await createCvm(world, { environment: blue });
    const results = await Promise.all([
      update(world, cvm, { ledger: memoryLedger(), environment: green }),
      update(world, cvm, { ledger: memoryLedger(), dockerCompose }),
    ]);
    expect(results.map(({ outcome }) => outcome)).to.have.members(["environmentReplaced", "updated"]);
  });

  describe("stops before anything is paid", () => {
    async function refused<Thrown extends Error>(
      cvm: TestCvm,
      type: abstract new (...args: never[]) => Thrown,
      changes: Partial<UpdateCvmParameters> = {},
    ): Promise<Thrown> {
      const { outcome: error, paid } = await paying(() =>
        catchError(update(world, cvm, { ledger: memoryLedger(), dockerCompose, ...changes }), type),
      );
      expect(paid).to.equal(0);
      expect(updatesOf(cvm)).to.deep.equal([]);
      return error;
    }

    it("when the signer is not the owner", async () => {
      const cvm = await createCvm(world);
      await disallowDevice(world, cvm);
      const { stranger } = world.dstack;
      const error = await refused(cvm, NotOwnerError, { chain: chainOf(world, stranger) });
      expect(error).to.include({ ownerIsContract: false });
      expect(error.signer.toLowerCase()).to.equal(stranger.address.toLowerCase());
      expect(error.owner.toLowerCase()).to.equal(world.owner.address.toLowerCase());
    });

    it("when the owner is a contract", async () => {
      const cvm = await createCvm(world);
      await transferToContract(world, cvm);
      const asked: string[] = [];
      const onStep = (event: UpdateEvent) => void (event.kind === "started" && asked.push(event.step));
      const error = await refused(cvm, ContractOwnerError, { onStep });
      expect(error.nextStep).to.be.a("string");
      expect(asked, "the cloud keeps nothing").to.not.include("patch");
    });

    it("when there is no signer", async () => {
      const cvm = await createCvm(world);
      await disallowDevice(world, cvm);
      const error = await refused(cvm, SignerRequiredError, { chain: chainOf(world) });
      expect(error.context).to.deep.include({ steps: ["addComposeHash"] });
    });

    it("when the RPC endpoint serves another chain", async () => {
      const cvm = await createCvm(world);
      const rpc = await startRpcServer(world.connection.provider, async ({ method }, forward) =>
        method === "eth_chainId" ? "0x1" : forward(),
      );
      const client = chainOf({ rpc }, world.owner);
      const error = await refused(cvm, WrongChainError, { chain: { ...client, chain: undefined } });
      expect(error.context).to.include({ expected: 8453, actual: 1 });
      await rpc.close();
    });

    it("when the RPC endpoint is unreachable", async () => {
      const cvm = await createCvm(world);
      const error = await refused(cvm, RpcUnavailableError, { chain: chainOf(await deadRpc(), world.owner) });
      expect(error).to.include({ retryable: true });
    });

    it("when the signer can pay for the device but not for the hash too", async () => {
      const cvm = await createCvm(world);
      await disallowDevice(world, cvm);
      const test = await world.connection.viem.getTestClient();
      const address = world.owner.address;
      const { baseFeePerGas } = await (await world.connection.viem.getPublicClient()).getBlock();
      // A call needs about 55,000 gas and the price allowed is at least twice the base fee: enough for one, not two.
      await test.setBalance({ address, value: 80_000n * (2n * (baseFeePerGas ?? 0n) + 10n ** 9n) });
      const error = await refused(cvm, InsufficientFundsError);
      expect(error.context).to.include({ signer: address.toLowerCase() });
      await test.setBalance({ address, value: parseEther("10") });
    });

    it("when the document is invalid", async () => {
      const cvm = await createCvm(world);
      await refused(cvm, InvalidAppComposeError, { dockerCompose: "services: [" });
    });

    it("when the encryption key is not signed by the expected KMS", async () => {
      const cvm = await createCvm(world, { environment: blue });
      await refused(cvm, UntrustedEncryptionKeyError, {
        environment: green,
        expectedKmsPublicKey: world.cloud.kmsPublicKey("kms-phala-1"),
      });
    });

    it("when no KMS is named for the environment's key, before another request", async () => {
      const cvm = await createCvm(world, { environment: blue });
      const changes = { environment: green, expectedKmsPublicKey: undefined, cloud: cloudWithoutRequests() };
      await refused(cvm, UnprovenEncryptionKeyError, changes);
    });

    it("when no app is named for the environment, before another request", async () => {
      const cvm = await createCvm(world, { environment: blue });
      const changes = { environment: green, appId: undefined, cloud: cloudWithoutRequests() };
      const error = await refused(cvm, UnprovenEncryptionKeyError, changes);
      expect(error.nextStep).to.include("`appId`").and.to.include("`acceptUnprovenKey`").and.to.not.include("--");
      expect(
        await update(world, cvm, {
          ...changes,
          ledger: memoryLedger(),
          cloud: world.client,
          acceptUnprovenKey: true,
        }),
      ).to.include({ outcome: "environmentReplaced" });
    });

    it("accepts an app id as the CVM's name and as the app's", async () => {
      const cvm = await createCvm(world, { environment: blue });
      const named = { appId: undefined, cvm: `app_${cvm.appId.slice(2)}` };
      const result = await update(world, cvm, { ...named, environment: green, ledger: memoryLedger() });
      expect(result).to.include({ keyProof: "pinned-key" });
    });

    for (const [what, request] of [
      ["sets nothing", { environment: [] }],
      ["sets empty values alone", { environment: [{ key: "MODE", value: "" }] }],
      ["is cleared and given", { environment: green, clearEnvironment: true }],
      ["sets a variable that the guest would discard", { environment: green, allowedEnvs: ["OTHER"] }],
    ] as const)
      it(`when the environment ${what}, before another request`, async () => {
        const cvm = await createCvm(world, { environment: blue });
        const error = await refused(cvm, Error, { ...request, cloud: cloudWithoutRequests() });
        expect(error.name).to.be.oneOf(["InvalidEnvironmentError", "InvalidArgumentError"]);
        expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(blue);
      });

    it("when the cloud denies a contract although a chain is given, or names one without a chain", async () => {
      const offChainCvm = await createCvmOffChain(world, { environment: blue });
      await refused(offChainCvm, KmsDowngradeError);
      await refused(offChainCvm, KmsDowngradeError, { ...offChain(world, offChainCvm), appId: offChainCvm.appId });
      await refused(await createCvm(world), InvalidArgumentError, { chain: undefined });
    });

    it("when the CVM belongs to an app other than the caller's", async () => {
      const [cvm, other] = [await createCvm(world), await createCvm(world)];
      await refused(cvm, InvalidArgumentError, { appId: other.appId });
    });

    it("when the cloud names a device that may not be allowed", async () => {
      const cvm = await createCvm(world);
      await disallowDevice(world, cvm);
      for (const devices of ["none", [], [parseDeviceId("12".repeat(32))]] as const) {
        const { context } = await refused(cvm, UnexpectedDeviceError, { devices });
        expect(context).to.include({ deviceId: world.dstack.deviceId });
      }
      const result = await update(world, cvm, {
        ledger: memoryLedger(),
        dockerCompose,
        devices: [world.dstack.deviceId],
      });
      expect(result.allowedDevice).to.deep.equal({ deviceId: world.dstack.deviceId, namedBy: "cloud" });
    });

    it("when the API key is wrong, or the CVM is unknown", async () => {
      const cvm = await createCvm(world);
      await refused(cvm, UnauthorizedError, {
        cloud: createCloudClient({ apiKey: "wrong", baseUrl: world.cloud.baseUrl }),
      });
      await refused(cvm, CvmNotFoundError, { cvm: "no-such-cvm" });
    });

    it("when the caller aborts, at each step", async () => {
      const cvm = await createCvm(world);
      for (const step of ["readCvm", "buildDocument", "proveDocument", "patch", "checkHash", "readChain"] as const) {
        const abort = new AbortController();
        const reason = new Error("enough");
        const onStep = (event: UpdateEvent) => {
          if (event.kind === "finished" && event.step === step) abort.abort(reason);
        };
        expect(await refused(cvm, Error, { signal: abort.signal, onStep })).to.equal(reason);
      }
    });
  });

  it("ends an update that was stopped after its transaction, without another one", async () => {
    const cvm = await createCvm(world);
    const ledger = memoryLedger();
    const abort = new AbortController();
    const onStep = (event: UpdateEvent) => {
      if (event.kind === "transaction" && event.event.kind === "sent") abort.abort(new Error("enough"));
    };
    const { paid } = await paying(async () => {
      await catchError(update(world, cvm, { ledger, dockerCompose, signal: abort.signal, onStep }), Error);
      return update(world, cvm, { ledger, dockerCompose });
    });
    expect(paid).to.equal(1);
    expect(updatesOf(cvm)).to.have.length(1);
  });

  describe("with a cloud that computes another hash", () => {
    /** The cloud's document lacks a field of the one in force. */
    function hidingField(field: string): CloudClient {
      const rewrite: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        if (!String(input).endsWith("/compose_file")) return response;
        const document: unknown = await response.json();
        return Response.json({ ...(document as object), [field]: undefined });
      };
      return createCloudClient({ apiKey, baseUrl: world.cloud.baseUrl, fetch: rewrite });
    }

    async function mismatch(cvm: TestCvm, acceptHashMismatch?: ComposeHash) {
      const ledger = memoryLedger();
      return catchError(
        update(world, cvm, {
          ledger,
          dockerCompose,
          cloud: hidingField("public_logs"),
          acceptUnprovenDocument: true,
          acceptHashMismatch,
        }),
        HashMismatchError,
      );
    }

    it("requests nothing when the app does not allow the document of the cloud", async () => {
      const cvm = await createCvm(world);
      const { outcome: error, paid } = await paying(() =>
        catchError(
          update(world, cvm, { ledger: memoryLedger(), dockerCompose, cloud: hidingField("public_logs") }),
          UnprovenDocumentError,
        ),
      );
      expect(paid).to.equal(0);
      expect(error.nextStep).to.include("Compare");
      expect(world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update")).to.deep.equal([]);
    });

    it("pays nothing, and names the field that explains it", async () => {
      const cvm = await createCvm(world);
      const { outcome: error, paid } = await paying(() => mismatch(cvm));
      expect(paid).to.equal(0);
      expect(error.context.explanation).to.include("public_logs");
    });

    it("does not take the consent to one hash as consent to another", async () => {
      const cvm = await createCvm(world);
      const { paid } = await paying(() => mismatch(cvm, parseComposeHash("c9".repeat(32))));
      expect(paid).to.equal(0);
    });

    it("continues with exactly the accepted hash", async () => {
      const cvm = await createCvm(world);
      const { fromCloud } = (await mismatch(cvm)).context;
      const acceptHashMismatch = parseComposeHash(String(fromCloud));
      const events: UpdateEvent[] = [];
      const { outcome: result, paid } = await paying(() =>
        update(world, cvm, {
          ledger: memoryLedger(),
          dockerCompose,
          cloud: hidingField("public_logs"),
          acceptUnprovenDocument: true,
          acceptHashMismatch,
          onStep: (event) => events.push(event),
        }),
      );
      expect(paid).to.equal(1);
      expect(result).to.include({ outcome: "updated", composeHash: acceptHashMismatch });
      const checked = events.find((event) => event.kind === "finished" && event.step === "checkHash");
      expect(checked).to.have.nested.property("result.isMismatchAccepted", true);
    });
  });

  describe("when the cloud refuses the confirmation", () => {
    it("because the hash was removed meanwhile, reports it, and pays again only in the next run", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const cloud = beforeConfirming(world, (hash) => removeHash(world, cvm, hash));
      const { outcome: error, paid } = await paying(() =>
        catchError(update(world, cvm, { ledger, cloud, dockerCompose }), HashNotAllowedError),
      );
      expect(error).to.include({ status: 468 });
      expect(paid).to.equal(2); // ours, and the one that removed it
      const again = await paying(() => update(world, cvm, { ledger, dockerCompose }));
      expect(again.paid).to.equal(1);
      expect(again.outcome).to.include({ outcome: "updated" });
    });

    it("because another machine started a newer update", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const cloud = beforeConfirming(world, () => {
        const stopped = dyingAt(memoryLedger(), "record");
        return catchError(update(world, cvm, { ledger: stopped, dockerCompose: otherCompose }), Error);
      });
      const error = await catchError(update(world, cvm, { ledger, cloud, dockerCompose }), HashExpiredError);
      expect(error).to.include({ status: 466 });
      expect(updatesOf(cvm)).to.deep.equal([]);
      const { paid } = await paying(() => update(world, cvm, { ledger, dockerCompose }));
      expect(paid).to.equal(0);
      expect(updatesOf(cvm)).to.have.length(1);
    });
  });

  describe("when the CVM does not boot the new compose file", () => {
    it("says why, and pays nothing more once the reason is gone", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const cloud = beforeConfirming(world, () => disallowDevice(world, cvm));
      const error = await catchError(update(world, cvm, { ledger, cloud, dockerCompose }), RolloverFailedError);
      expect(error.context.reason).to.include("Device not allowed");
      expect(error.context.correlationId).to.be.a("string");

      const { outcome: result, paid } = await paying(() => update(world, cvm, { ledger, dockerCompose }));
      expect(result).to.include({ outcome: "updated" });
      expect(result.transactions.map(({ step }) => step)).to.include("addDevice");
      expect(paid).to.equal(1); // the device; the hash is proven by the transaction on record
    });

    it("reports it in the next run, if this one crashed before it could", async () => {
      const cvm = await createCvm(world);
      const ledger = memoryLedger();
      const cloud = beforeConfirming(world, () => disallowDevice(world, cvm));
      const dying = dyingAt(ledger, "confirmed", "after");
      await catchError(update(world, cvm, { ledger: dying, cloud, dockerCompose }), Crash);
      await world.cloud.whenIdle();
      await catchError(update(world, cvm, { ledger, dockerCompose }), RolloverFailedError);
      expect(await update(world, cvm, { ledger, dockerCompose })).to.include({ outcome: "updated" });
    });
  });

  it("updates two CVMs at the same time with one ledger and one key, although both use one nonce", async () => {
    const [one, other] = [await createCvm(world), await createCvm(world)];
    const ledger = memoryLedger();
    const { outcome: results, paid } = await paying(() =>
      Promise.all([one, other].map((cvm) => update(world, cvm, { ledger, dockerCompose }))),
    );
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(["updated", "updated"]);
    expect(paid).to.equal(2);
    for (const cvm of [one, other]) expect((await readAppHistory(world, cvm.appId)).hashesAdded).to.have.length(2);
  });
});

async function removeHash({ dstack, owner }: UpdateWorld, { appId }: TestCvm, hash: ComposeHash) {
  const { client } = dstack;
  const transactionHash = await removeComposeHash(client, { account: owner, appId, composeHash: hash });
  await waitForReceipt(client, { transactionHash, functionName: "removeComposeHash" });
}

/** Transfers the app to its KMS contract, which takes the part of a Safe here. */
async function transferToContract({ connection, dstack, owner }: UpdateWorld, { appId }: TestCvm): Promise<void> {
  const contract = dstack.kms;
  const call = { chain: base, address: appId, abi: dstackAppAbi } as const;
  await writeContract(dstack.client, { ...call, account: owner, functionName: "transferOwnership", args: [contract] });
  const test = await connection.viem.getTestClient();
  await test.impersonateAccount({ address: contract });
  await test.setBalance({ address: contract, value: parseEther("1") });
  const wallet = createWalletClient({ chain: base, transport: custom(connection.provider) });
  await wallet.writeContract({ ...call, account: contract, functionName: "acceptOwnership" });
}

/** A cloud that fails the test at each request. */
function cloudWithoutRequests(): CloudClient {
  const fetch = () => Promise.reject(new Error("The cloud was asked."));
  return createCloudClient({
    apiKey,
    baseUrl: "http://127.0.0.1:9/api/v1",
    fetch,
    retry: { baseDelayMs: 1, maxDelayMs: 1 },
  });
}

/** An address at which no server listens. */
async function deadRpc(): Promise<{ readonly rpc: { readonly url: string } }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { rpc: { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}` } };
}
