import { expect } from "chai";
import { network } from "hardhat";
import { commitComposeFile } from "../../../../src/cloud/commit-compose-file.ts";
import { commitCvmUpdate } from "../../../../src/cloud/commit-cvm-update.ts";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { createCvm } from "../../../../src/cloud/create-cvm.ts";
import { getAppEncryptionKey } from "../../../../src/cloud/get-app-encryption-key.ts";
import { getComposeFile } from "../../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import { getDockerCompose } from "../../../../src/cloud/get-docker-compose.ts";
import { confirmCvmPatch, type PatchOutcome, patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { prepareCvmUpdate } from "../../../../src/cloud/prepare-cvm-update.ts";
import { provisionComposeFile } from "../../../../src/cloud/provision-compose-file.ts";
import { provisionCvm } from "../../../../src/cloud/provision-cvm.ts";
import { updateCvmEnvs } from "../../../../src/cloud/update-cvm-envs.ts";
import { updateDockerCompose } from "../../../../src/cloud/update-docker-compose.ts";
import { updatePreLaunchScript } from "../../../../src/cloud/update-pre-launch-script.ts";
import { buildAppCompose, changeAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash } from "../../../../src/core/compose-hash.ts";
import { encryptEnvironment } from "../../../../src/core/environment.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import {
  CvmNotFoundError,
  HashExpiredError,
  HashNotAllowedError,
  UntrustedEncryptionKeyError,
} from "../../../../src/errors/index.ts";
import {
  apiKey,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  dockerCompose,
  registerHash,
  startCloudWorld,
} from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const newCompose = "services:\n  app:\n    image: nginx:2\n";
const green = [{ key: "MODE", value: "green" }];

describe("the cloud actions against the mock cloud", () => {
  let world: CloudWorld;
  let client: CloudClient;
  before(async () => {
    world = await startCloudWorld(await network.create("local"));
    client = createCloudClient({ apiKey, baseUrl: world.cloud.baseUrl });
  });
  after(() => world.cloud.close());

  let count = 0;
  const onChain = () =>
    createOnChainCvm(world, { name: `actions-${count++}`, environment: [{ key: "MODE", value: "blue" }] });

  /** Registers the hash a 465 asks for. */
  async function register(outcome: PatchOutcome) {
    if (outcome.kind !== "registrationRequired") throw new Error(`expected a 465, got ${outcome.kind}`);
    const transactionHash = await registerHash(world, outcome.appId, outcome.composeHash);
    return { composeHash: outcome.composeHash, transactionHash };
  }

  it("read a CVM in every form the API has", async () => {
    const cvm = await onChain();
    const current = await getComposeFile(client, { cvm: cvm.id });
    expect(computeComposeHash(current)).to.equal(cvm.composeHash);
    expect(await getDockerCompose(client, { cvm: cvm.id })).to.equal(dockerCompose);
    expect(await getCvmState(client, { cvm: cvm.id })).to.include({ status: "running", bootError: undefined });
    expect(await getCvm(client, { cvm: cvm.id })).to.include({
      id: cvm.id,
      status: "running",
      busy: false,
      appId: cvm.appId,
      composeHash: cvm.composeHash,
      deviceId: world.dstack.deviceId,
      chainId: 8453,
      kmsContractAddress: world.dstack.kms.toLowerCase(),
    });
    const flat = await getCvm(client, { cvm: cvm.id, apiVersion: "2025-10-28" });
    expect(flat).to.include({ appId: cvm.appId, chainId: 8453, kmsReference: "kms-base-1" });
    await catchError(getCvm(client, { cvm: "no-such-cvm" }), CvmNotFoundError);
  });

  it("read an app's encryption key, and accept only the expected KMS's signature", async () => {
    const { id, appId } = await onChain();
    const expectedKmsPublicKey = world.cloud.kmsPublicKey("kms-base-1");
    const { publicKey } = await getAppEncryptionKey(client, { kms: "kms-base-1", appId, expectedKmsPublicKey });
    const { encryptionPublicKey } = await getCvm(client, { cvm: id });
    expect(publicKey).to.equal(`0x${encryptionPublicKey}`);
    const other = world.cloud.kmsPublicKey("kms-phala-1");
    await catchError(
      getAppEncryptionKey(client, { kms: "kms-base-1", appId, expectedKmsPublicKey: other }),
      UntrustedEncryptionKeyError,
    );
  });

  it("patch and confirm, and report the confirmation of an unknown update", async () => {
    const { id, composeHash } = await onChain();
    const outcome = await patchCvm(client, { cvm: id, dockerCompose: newCompose, publicLogs: false });
    const registered = await register(outcome);
    const current = await getComposeFile(client, { cvm: id });
    expect(registered.composeHash).to.equal(
      computeComposeHash(changeAppCompose(current, { dockerCompose: newCompose, publicLogs: false })),
    );
    expect(outcome).to.have.property("deviceId", world.dstack.deviceId);
    expect(await confirmCvmPatch(client, { cvm: id, ...registered })).to.include({ kind: "accepted" });
    await world.cloud.whenIdle();
    expect(await getCvm(client, { cvm: id })).to.include({ composeHash: registered.composeHash });
    await catchError(confirmCvmPatch(client, { cvm: id, ...registered, composeHash }), HashExpiredError);
  });

  it("update compose file, script and environment, each in two phases", async () => {
    const { id, appId } = await onChain();
    const { publicKey } = await getAppEncryptionKey(client, { kms: "kms-base-1", appId });
    const environment = [...green, { key: "LEVEL", value: "3" }];
    const encryptedEnvironment = encryptEnvironment(environment, publicKey);
    const phases = [
      (registered?: Awaited<ReturnType<typeof register>>) =>
        updateDockerCompose(client, { cvm: id, dockerCompose: newCompose, registered }),
      (registered?: Awaited<ReturnType<typeof register>>) =>
        updatePreLaunchScript(client, { cvm: id, preLaunchScript: "#!/bin/sh\necho é\n", registered }),
      (registered?: Awaited<ReturnType<typeof register>>) =>
        updateCvmEnvs(client, { cvm: id, encryptedEnvironment, allowedEnvs: ["MODE", "LEVEL"], registered }),
    ];
    for (const phase of phases) {
      const registered = await register(await phase());
      expect(await phase(registered)).to.include({ kind: "accepted" });
      await world.cloud.whenIdle();
      expect(await getCvm(client, { cvm: id })).to.include({ composeHash: registered.composeHash });
    }
    expect(await getComposeFile(client, { cvm: id })).to.deep.include({
      docker_compose_file: newCompose,
      pre_launch_script: "#!/bin/sh\necho é\n",
      allowed_envs: ["MODE", "LEVEL"],
    });
    expect(world.cloud.readEnvironment(id)).to.deep.equal(environment);
  });

  it("replace an environment at once when its names stay the same", async () => {
    const { id, appId } = await onChain();
    const { publicKey } = await getAppEncryptionKey(client, { kms: "kms-base-1", appId });
    const encryptedEnvironment = encryptEnvironment(green, publicKey);
    expect(await updateCvmEnvs(client, { cvm: id, encryptedEnvironment })).to.include({ kind: "accepted" });
    await world.cloud.whenIdle();
    expect(world.cloud.readEnvironment(id)).to.deep.equal(green);
  });

  it("provision a whole document and put it in force once its hash is allowed", async () => {
    const { id, appId } = await onChain();
    const appCompose = changeAppCompose(await getComposeFile(client, { cvm: id }), { dockerCompose: newCompose });
    const provisioned = await provisionComposeFile(client, { cvm: id, appCompose });
    expect(provisioned).to.include({ composeHash: computeComposeHash(appCompose), appId });
    const { composeHash } = provisioned;
    await catchError(commitComposeFile(client, { cvm: id, composeHash }), HashNotAllowedError);
    await registerHash(world, appId, composeHash);
    await commitComposeFile(client, { cvm: id, composeHash });
    await world.cloud.whenIdle();
    expect(await getCvm(client, { cvm: id })).to.include({ composeHash });
  });

  it("prepare an update, and commit it once with its token", async () => {
    const { id } = await onChain();
    const outcome = await prepareCvmUpdate(client, { cvm: id, dockerCompose: newCompose });
    if (outcome.kind !== "registrationRequired") throw new Error(`expected a 465, got ${outcome.kind}`);
    const { token } = outcome;
    await world.cloud.whenIdle();
    expect(await getDockerCompose(client, { cvm: id })).to.equal(dockerCompose);

    const { composeHash } = outcome;
    const commit = (transactionHash: Parameters<typeof commitCvmUpdate>[1]["transactionHash"]) =>
      commitCvmUpdate(client, { cvm: id, token, composeHash, transactionHash });
    await catchError(commit("already-registered"), HashNotAllowedError);
    const { transactionHash } = await register(outcome);
    expect(await commit(transactionHash)).to.include({ kind: "accepted", status: "in_progress" });
    await world.cloud.whenIdle();
    expect(await getCvm(client, { cvm: id })).to.include({ composeHash });
    await catchError(commit(transactionHash), HashExpiredError);
  });

  it("apply a prepared update at once if no hash has to be allowed", async () => {
    const { id, appId } = await onChain();
    const { publicKey } = await getAppEncryptionKey(client, { kms: "kms-base-1", appId });
    const encryptedEnvironment = encryptEnvironment(green, publicKey);
    expect(await prepareCvmUpdate(client, { cvm: id, encryptedEnvironment })).to.include({ kind: "accepted" });
    await world.cloud.whenIdle();
    expect(world.cloud.readEnvironment(id)).to.deep.equal(green);
  });

  it("never show a commit token in an error, however the cloud spells it", async () => {
    const token = "11111111-2222-4333-8444-555555555555";
    const spellings = [token, encodeURIComponent(token), Buffer.from(token).toString("base64")];
    const echo = createCloudClient({
      apiKey,
      baseUrl: world.cloud.baseUrl,
      fetch: async () => Response.json({ error_code: "ERR-01-006", message: spellings.join(" ") }, { status: 466 }),
    });
    const commit = { cvm: "my-app", token, composeHash: parseComposeHash("0c".repeat(32)) };
    const error = await catchError(
      commitCvmUpdate(echo, { ...commit, transactionHash: "already-registered" }),
      HashExpiredError,
    );
    for (const spelling of spellings) expect(`${error.message} ${JSON.stringify(error)}`).to.not.include(spelling);
    expect(error.message).to.include("[hidden]");
  });

  it("create a CVM on an off-chain KMS, and return the same one for a repeated hash", async () => {
    const appCompose = buildAppCompose({ dockerCompose, allowedEnvs: ["MODE"] });
    const provisioned = await provisionCvm(client, { name: "off-chain-cvm", appCompose, kmsType: "phala" });
    const { appId, composeHash, encryptionPublicKey } = provisioned;
    if (appId === undefined || encryptionPublicKey === undefined) throw new Error("off chain the cloud names the app");
    const encryptedEnvironment = encryptEnvironment(green, encryptionPublicKey);
    const created = await createCvm(client, { appId, composeHash, encryptedEnvironment });
    expect(created).to.include({ name: "off-chain-cvm", appId });
    await world.cloud.whenIdle();
    expect(await createCvm(client, { appId, composeHash })).to.include({ id: created.id });
    const { id } = await getCvm(client, { cvm: created.id });
    expect(world.cloud.readEnvironment(id)).to.deep.equal(green);
  });

  it("provision a CVM on an on-chain KMS with what its app's contract needs", async () => {
    const appCompose = buildAppCompose({ dockerCompose });
    const provisioned = await provisionCvm(client, { name: "on-chain-cvm", appCompose, kmsType: "base" });
    expect(provisioned).to.include({ appId: undefined, deviceId: world.dstack.deviceId });
    expect(provisioned.kms).to.include({ chainId: 8453, contractAddress: world.dstack.kms.toLowerCase() });
  });

  it("apply a patch at once on an off-chain KMS", async () => {
    const { id } = await createOffChainCvm(world, { name: "another-off-chain" });
    expect(await patchCvm(client, { cvm: id, dockerCompose: newCompose })).to.include({ kind: "accepted" });
    await world.cloud.whenIdle();
    expect(await getDockerCompose(client, { cvm: id })).to.equal(newCompose);
  });
});
