import {
  addComposeHash,
  confirmCvmPatch,
  createClient,
  deployAppAuth,
  encryptEnvVars,
  getCvmPreLaunchScript,
  patchCvm,
  safeGetCvmInfo,
  safePatchCvm,
  verifyEnvEncryptPublicKey,
} from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { type Chain, createPublicClient, createWalletClient, custom, type Hex } from "viem";
import { base } from "viem/chains";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  dockerCompose,
  encryptFor,
  officialClient,
  registerHash,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const versions = ["2025-10-28", "2026-01-21"] as const;

describe("the official JS client, unmodified", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "blue" }] });
  });

  const register = (composeHash: string) => registerHash(world, cvm.appId, composeHash);

  for (const version of versions) {
    it(`runs a whole update with a new compose file and environment at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "green" }]);

      const proposed = await patchCvm(client, { id: cvm.id, docker_compose_file: nextCompose, encrypted_env });
      if (!proposed.requiresOnChainHash) throw new Error("expected a 465");
      expect(proposed).to.include({
        appId: cvm.appId.slice(2),
        deviceId: world.dstack.deviceId.slice(2),
        commitToken: undefined,
      });
      expect(proposed.kmsInfo).to.have.nested.property("chain.id", 8453);
      const transactionHash = await register(proposed.composeHash);
      const confirmation = { id: cvm.id, composeHash: proposed.composeHash, transactionHash };
      const { correlationId } = await confirmCvmPatch(client, confirmation);
      await world.cloud.whenIdle();

      expect(await client.getCvmInfo({ id: cvm.id })).to.include({ status: "running" });
      expect((await client.getCvmComposeFile({ id: cvm.id })).getHash()).to.equal(proposed.composeHash);
      expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "green" }]);
      expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ correlationId, state: "done", transactionHash });
    });

    it(`updates compose file, script and environment, each in two phases, at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "LEVEL", value: "7" }]);
      const id = cvm.id;
      const compose = { id, docker_compose_file: nextCompose };
      const script = { id, pre_launch_script: "#!/bin/sh\necho hello\n" };
      const envs = { id, encrypted_env, env_keys: ["LEVEL"] };
      type Proof = { compose_hash?: string; transaction_hash?: string };
      const updates: ((proof: Proof) => Promise<{ status: string; compose_hash?: string }>)[] = [
        (proof) => client.updateDockerCompose({ ...compose, ...proof }),
        (proof) => client.updatePreLaunchScript({ ...script, ...proof }),
        (proof) => client.updateCvmEnvs({ ...envs, ...proof }),
      ];
      for (const update of updates) {
        const proposed = await update({});
        expect(proposed.status).to.equal("precondition_required");
        const compose_hash = String(proposed.compose_hash);
        const confirmed = await update({ compose_hash, transaction_hash: await register(compose_hash) });
        expect(confirmed.status).to.equal("in_progress");
        await world.cloud.whenIdle();
      }
      expect(await client.getCvmDockerCompose({ id })).to.equal(nextCompose);
      expect(await getCvmPreLaunchScript(client, { id })).to.equal(script.pre_launch_script);
      expect(world.cloud.readEnvironment(id)).to.deep.equal([{ key: "LEVEL", value: "7" }]);
      expect(await client.getCvmState({ id })).to.include({ status: "running" });
    });

    it(`provisions and commits a compose file at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const { getHash: _, toString: __, ...app_compose } = await client.getCvmComposeFile({ id: cvm.id });
      const changed = { ...app_compose, docker_compose_file: nextCompose };
      const provisioned = await client.provisionCvmComposeFileUpdate({ id: cvm.id, app_compose: changed });
      const { compose_hash } = provisioned;
      await register(compose_hash);
      await client.commitCvmComposeFileUpdate({
        id: cvm.id,
        compose_hash,
        encrypted_env: undefined,
        env_keys: undefined,
      });
      await world.cloud.whenIdle();
      expect((await client.getCvmComposeFile({ id: cvm.id })).getHash()).to.equal(compose_hash);
    });

    it(`deploys a new app with its own contract and creates the CVM at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const provisioned = await client.provisionCvm({
        name: `deployed-at-${version}`,
        compose_file: { docker_compose_file: dockerCompose, allowed_envs: ["TOKEN"] },
        kms: "BASE",
        instance_type: "tdx.small",
      });
      expect(provisioned).to.include({ app_id: null, node_id: 1 });
      const { compose_hash, device_id, kms_info } = provisioned;
      if (!kms_info?.kms_contract_address || !device_id) throw new Error("expected an on-chain KMS");
      const { appId } = await deployAppAuth({
        ...clientsOf(world),
        kmsContractAddress: kms_info.kms_contract_address as Hex,
        composeHash: compose_hash,
        deviceId: device_id,
      });
      const key = await client.getAppEnvEncryptPubKey({ kms: kms_info.slug ?? kms_info.id, app_id: appId });
      const [publicKey, signature] = [key.public_key, key.signature].map((hex) => Buffer.from(hex, "hex"));
      if (!publicKey || !signature) throw new Error("expected a key");
      expect(verifyEnvEncryptPublicKey(publicKey, signature, appId.slice(2))).to.equal(
        world.cloud.kmsPublicKey("base"),
      );

      const encrypted_env = await encryptEnvVars([{ key: "TOKEN", value: "t0ken" }], key.public_key);
      const created = await client.commitCvmProvision({
        app_id: appId,
        compose_hash,
        encrypted_env,
        kms_id: kms_info.id,
      });
      await world.cloud.whenIdle();
      const info = await client.getCvmInfo({ id: String(created.id) });
      expect(info).to.include({ status: "running", name: `deployed-at-${version}` });
      const hashid = version === "2025-10-28" ? undefined : String(info.id);
      if (hashid) expect(world.cloud.readEnvironment(hashid)).to.deep.equal([{ key: "TOKEN", value: "t0ken" }]);
    });

    it(`reads the user and the list of KMS at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      expect(JSON.stringify(await client.getCurrentUser())).to.include("tess");
      const { items } = await client.getKmsList({ is_onchain: true });
      expect(items.map(({ slug }) => slug)).to.deep.equal(["kms-base-1"]);
      expect(await client.getKmsInfo({ kms_id: "kms-base-1" })).to.have.nested.property("chain.id", 8453);
    });
  }

  it("registers a hash with its own addComposeHash, which the mock cloud verifies", async () => {
    const client = officialClient(world.cloud);
    const proposed = await patchCvm(client, { app_id: cvm.appId, docker_compose_file: nextCompose });
    if (!proposed.requiresOnChainHash) throw new Error("expected a 465");
    const { transactionHash } = await silently(() =>
      addComposeHash({ ...clientsOf(world), appId: cvm.appId, composeHash: proposed.composeHash }),
    );
    await confirmCvmPatch(client, { app_id: cvm.appId, composeHash: proposed.composeHash, transactionHash });
    await world.cloud.whenIdle();
    expect(await client.getCvmInfo({ id: cvm.id })).to.include({ compose_hash: proposed.composeHash });
  });

  it("needs one phase for values of the environment, and for each change on an off-chain KMS", async () => {
    const client = officialClient(world.cloud);
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "green" }]);
    const values = await client.updateCvmEnvs({ id: cvm.id, encrypted_env });
    expect(values).to.include({ status: "in_progress", allowed_envs_changed: false });

    const offChain = await createOffChainCvm(world);
    const accepted = await patchCvm(client, { id: offChain.id, docker_compose_file: nextCompose });
    expect(accepted)
      .to.include({ requiresOnChainHash: false })
      .and.to.have.property("correlationId")
      .that.is.a("string");
    await world.cloud.whenIdle();
    const unchanged = await patchCvm(client, { id: offChain.id, docker_compose_file: nextCompose });
    expect(unchanged).to.include({ requiresOnChainHash: false });
  });

  it("throws its own error class for each refusal", async () => {
    const client = officialClient(world.cloud);
    const unknown = await safeGetCvmInfo(client, { id: "cvm_nowhere" });
    expect(unknown.error).to.include({ name: "ResourceError", status: 404, errorCode: "ERR-03-001" });

    const intruder = createClient({ apiKey: "wrong", baseURL: world.cloud.baseUrl });
    expect((await safeGetCvmInfo(intruder, { id: cvm.id })).error).to.include({ name: "AuthError", status: 401 });

    const malformed = await safePatchCvm(client, { id: cvm.id, encrypted_env: "zz" });
    expect(malformed.error).to.include({ name: "ValidationError", status: 422 });
    expect(malformed.error).to.have.nested.property("validationErrors[0].field", "encrypted_env");

    const composeHash = "ab".repeat(32);
    const refusal = await confirmCvmPatch(client, { id: cvm.id, composeHash, transactionHash: composeHash }).catch(
      (error: unknown) => error,
    );
    expect(refusal).to.include({ name: "ResourceError", status: 466, errorCode: "ERR-01-006" });
  });
});

/** The app owner's clients, as the SDK's chain functions take them. */
function clientsOf({ dstack }: CloudWorld) {
  const transport = custom(dstack.connection.provider, { retryCount: 0 });
  const chain: Chain = base;
  return {
    chain,
    walletClient: createWalletClient({ account: dstack.owner, chain, transport }),
    publicClient: createPublicClient({ chain, transport, pollingInterval: 20 }),
  };
}

/** The SDK prints the receipt's logs. */
async function silently<Result>(run: () => Promise<Result>): Promise<Result> {
  const { log } = console;
  console.log = () => {};
  try {
    return await run();
  } finally {
    console.log = log;
  }
}
