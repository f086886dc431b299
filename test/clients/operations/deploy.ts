import { expect } from "chai";
import { getComposeFile, getCvm } from "../../../src/cloud/index.ts";
import { patchCvm } from "../../../src/cloud/patch-cvm.ts";
import { encryptEnvironment } from "../../../src/core/environment.ts";
import { parseComposeHash } from "../../../src/core/ids.ts";
import { readAdoptedCvms, startWorld } from "../../../src/world/index.ts";
import { expectInForce, expectRegistered, expectUntouched, isHashAllowed, readDevices } from "../harness/checks.ts";
import type { Cli, CliOptions, CliRun } from "../harness/cli.ts";
import { firstEnvironment, type Lane, newName, nextCompose, type TestCvm } from "../harness/lane.ts";
import type { Operation, OperationGroup } from "../harness/operation.ts";
import { type Intercept, withRpcProxy } from "../harness/rpc-proxy.ts";

const compose = "docker-compose.yml";
const files = { [compose]: nextCompose };

const updates: readonly Operation[] = [
  {
    name: "deploy --cvm-id: another compose file",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      await update(cli, lane, cvm, []);
      await expectUpdated(lane, cvm, { document: { docker_compose_file: nextCompose } });
    },
  },
  {
    name: "deploy --cvm-id, off-chain KMS",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("off-chain");
      await cli.succeed(["deploy", "--cvm-id", cvm.id, "-c", compose, "--json"], { files });
      await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose } });
    },
  },
  {
    name: "deploy --cvm-id: other values, no transaction",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { docker_compose_file: text } = await lane.readDocument(cvm);
      await update(cli, lane, cvm, ["-e", "MODE=green"], { files: { [compose]: text ?? "" } });
      const environment = [{ key: "MODE", value: "green" }];
      await expectInForce(lane, cvm, { composeHash: cvm.composeHash, environment });
      expect(lane.world.cloud.readHistory(cvm.id).at(-1)).to.include({ transactionHash: null });
    },
  },
  {
    name: "deploy --cvm-id: other names in the environment",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      await update(cli, lane, cvm, ["-e", "MODE=green", "-e", "LEVEL=7"]);
      await expectUpdated(lane, cvm, {
        document: { docker_compose_file: nextCompose, allowed_envs: ["MODE", "LEVEL"] },
        environment: [
          { key: "MODE", value: "green" },
          { key: "LEVEL", value: "7" },
        ],
      });
    },
  },
  {
    name: "cvms list, deploy --cvm-id: a CVM that the cloud of a forked chain adopted",
    cli: async ({ cli, lane }) => {
      const { appId, id, name, composeHash } = await lane.createCvm("on-chain");
      const adopt = await readAdoptedCvms(lane.world.cloudClient, { appIds: [appId] });
      const world = await startWorld({ forkUrl: lane.world.chain.rpcUrl, adopt, cloud: { rolloverMs: 0 } });
      try {
        const { apiKey, cloud, cloudClient, chain } = world;
        const ofFork = { files, apiKey, env: { PHALA_CLOUD_API_PREFIX: cloud.baseUrl } };
        expect((await cli.succeed(["cvms", "list", "--json"], ofFork)).text).to.include(name);
        const key = ["--private-key", lane.ownerKey, "--rpc-url", chain.rpcUrl];
        await cli.succeed(["deploy", "--cvm-id", id, "-c", compose, "--wait", ...key], ofFork);
        const document = await getComposeFile(cloudClient, { cvm: id });
        expect(document.docker_compose_file).to.equal(nextCompose);
        expect(await getCvm(lane.world.cloudClient, { cvm: id })).to.include({ composeHash });
      } finally {
        await world.close();
      }
    },
  },
  {
    name: "deploy --cvm-id: device not allowed yet",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      await lane.disallowDevice(cvm, cvm.deviceId);
      await update(cli, lane, cvm, []);
      await expectUpdated(lane, cvm, { document: { docker_compose_file: nextCompose } });
      expect((await readDevices(lane, cvm, cvm.deviceId)).deviceListed, "device on chain").to.equal(true);
    },
  },
  {
    name: "deploy --cvm-id --wait",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { text } = await update(cli, lane, cvm, ["--wait"]);
      expect(text).to.include("CVM is ready");
      await expectUpdated(lane, cvm, { document: { docker_compose_file: nextCompose } });
    },
  },
  {
    name: "deploy --cvm-id --wait on a chain like Base, with 200 ms blocks and tags that lag",
    world: { blockTimeMs: 200, safeLagSeconds: 73, finalizedLagSeconds: 1235 },
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      await update(cli, lane, cvm, ["--wait"]);
      await expectUpdated(lane, cvm, { document: { docker_compose_file: nextCompose } });
      await lane.withdrawHash(cvm, cvm.composeHash);
      expect(await isHashAllowed(lane, cvm, cvm.composeHash), "old hash").to.equal(false);
      const { client } = lane.world.chain;
      expect((await client.getBlock({ blockTag: "safe" })).number).to.equal(0n);
      await lane.world.advance(1235);
      expect(Number((await client.getBlock({ blockTag: "finalized" })).number)).to.be.above(0);
    },
  },
  {
    name: "deploy --cvm-id on a chain id of its own: refused before it signs",
    world: { chainId: 845_300_001 },
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const sent = () => lane.world.chain.client.getTransactionCount({ address: lane.world.owner.address });
      const before = await sent();
      const args = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--private-key", lane.ownerKey];
      for (const more of [[], ["--rpc-url", lane.world.chain.rpcUrl]]) {
        const { text } = await cli.fail([...args, ...more], { files });
        expect(text).to.include("Chain is required");
      }
      expect(await sent()).to.equal(before);
      await expectUntouched(lane, cvm);
    },
  },
  {
    name: "deploy --cvm-id: key that does not own the app",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const key = lane.strangerKey;
      const args = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--private-key", key, "--rpc-url"];
      const { text } = await cli.fail([...args, lane.world.chain.rpcUrl], { files });
      expect(text).to.match(/owner/i);
      await expectUntouched(lane, cvm);
    },
  },
];

/** What `deploy` says when the confirmation, which it sends by itself after the transaction, is refused. */
const refusedConfirmations: readonly Operation[] = [
  {
    name: "deploy --cvm-id: a newer update supersedes this one before its transaction is sent: 466",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const newer = "services:\n  app:\n    image: nginx:1.29\n";
      const supersede = async () =>
        void (await patchCvm(lane.world.cloudClient, { cvm: cvm.id, dockerCompose: newer }));
      const text = await refuseConfirmation(cli, lane, cvm, async (method, forward) => {
        if (method === "eth_sendRawTransaction") await supersede();
        return forward();
      });
      expect(text).to.include("Compose hash expired");
      await expectUntouched(lane, cvm);
    },
  },
  {
    name: "deploy --cvm-id: the backend's node does not find the receipt: 467",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      lane.world.cloud.setFault({ kind: "receipt-invisible", cvm: cvm.id });
      const text = await refuseConfirmation(cli, lane, cvm, (_method, forward) => forward());
      lane.world.cloud.clearFaults();
      expect(text).to.include("Transaction verification failed on backend");
      await expectUntouched(lane, cvm);
    },
  },
  {
    name: "deploy --cvm-id: the hash is withdrawn before the confirmation: 468",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      let withdrawn: Promise<unknown> | undefined;
      const text = await refuseConfirmation(cli, lane, cvm, async (method, forward) => {
        const answer = await forward();
        if (method === "eth_getTransactionReceipt" && answer !== null) {
          withdrawn ??= lane.withdrawHash(cvm, addedHash(answer));
          await withdrawn;
        }
        return answer;
      });
      expect(withdrawn, "withdrawn").not.to.equal(undefined);
      expect(text).to.include("Compose hash not found on-chain");
      await expectUntouched(lane, cvm);
    },
  },
];

const prepared: readonly Operation[] = [
  {
    name: "deploy --prepare-only, register, --commit with both hashes",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token, composeHash } = await prepare(cli, lane, cvm);
      await expectUntouched(lane, cvm);
      const transactionHash = await lane.registerHash(cvm, composeHash);
      await commit(cli, cvm, token, ["--compose-hash", composeHash, "--transaction-hash", transactionHash]);
      await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose }, composeHash });
      await expectRegistered(lane, cvm, { composeHash, transactionHash });
    },
    sdk: async ({ sdk, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const wanted = { id: cvm.id, docker_compose_file: nextCompose, prepareOnly: true };
      const proposal = Object(await sdk.call("patchCvm", wanted).catch((error: unknown) => error));
      // Clients that cannot prepare have no function to commit either, and say so here.
      if (proposal.commitToken === undefined) await sdk.call("commitCvmUpdate", {});
      await expectUntouched(lane, cvm);
      const transactionHash = await lane.registerHash(cvm, proposal.composeHash);
      await sdk.call("commitCvmUpdate", {
        id: cvm.id,
        token: proposal.commitToken,
        composeHash: proposal.composeHash,
        transactionHash,
      });
      const { composeHash } = proposal;
      await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose }, composeHash });
      await expectRegistered(lane, cvm, { composeHash, transactionHash });
    },
  },
  {
    name: "deploy --commit without hashes, which the token knows",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token, composeHash } = await prepare(cli, lane, cvm);
      await lane.registerHash(cvm, composeHash);
      await commit(cli, cvm, token, []);
      await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose }, composeHash });
      expect(lane.world.cloud.readHistory(cvm.id).at(-1)).to.include({ transactionHash: "already-registered" });
    },
  },
  {
    name: "deploy --commit --transaction-hash already-registered",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token, composeHash } = await prepare(cli, lane, cvm);
      await lane.registerHash(cvm, composeHash);
      await commit(cli, cvm, token, ["--transaction-hash", "already-registered"]);
      await expectInForce(lane, cvm, { composeHash });
      expect(lane.world.cloud.readHistory(cvm.id).at(-1)).to.include({ transactionHash: "already-registered" });
    },
  },
  {
    name: "deploy --commit with a token that a newer one replaced: 466",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token, composeHash } = await prepare(cli, lane, cvm);
      await prepare(cli, lane, cvm, "services:\n  app:\n    image: nginx:1.29\n");
      await lane.registerHash(cvm, composeHash);
      await refuseCommit(cli, lane, cvm, token, [], 466);
      await expectUntouched(lane, cvm);
    },
  },
  {
    name: "deploy --commit with the transaction of something else: 467",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token, composeHash } = await prepare(cli, lane, cvm);
      const other = await lane.allowDevice(cvm, cvm.deviceId);
      await refuseCommit(cli, lane, cvm, token, ["--compose-hash", composeHash, "--transaction-hash", other], 467);
      await expectUntouched(lane, cvm);
    },
  },
  {
    name: "deploy --commit before the hash is registered: 468",
    cli: async ({ cli, lane }) => {
      const cvm = await lane.createCvm("on-chain");
      const { token } = await prepare(cli, lane, cvm);
      await refuseCommit(cli, lane, cvm, token, ["--transaction-hash", "already-registered"], 468);
      await expectUntouched(lane, cvm);
    },
  },
];

const fresh: readonly Operation[] = [
  {
    name: "create a CVM, on-chain KMS: plan, deploy the app's contract, create",
    cli: async ({ cli, lane }) => {
      const name = newName();
      const args = ["deploy", "-n", name, "-c", compose, "--kms", "base", "-e", "MODE=blue", "--json"];
      await cli.succeed([...args, ...onChain(lane)], { files });
      await expectCreated(lane, await lane.findCvm(name, "on-chain"));
    },
    sdk: async ({ sdk, lane }) => {
      const name = newName();
      const planned = Object(
        await sdk.call("provisionCvm", {
          name,
          compose_file: { docker_compose_file: nextCompose, allowed_envs: ["MODE"], name: "" },
          kms: "BASE",
          instance_type: "tdx.small",
        }),
      );
      expect(planned.app_id ?? null, "app id before there is a contract").to.equal(null);
      const { appId, encryptedEnv } = await lane.deployPlanned(planned, firstEnvironment);
      await sdk.call("commitCvmProvision", {
        app_id: appId,
        compose_hash: planned.compose_hash,
        encrypted_env: encryptedEnv,
        env_keys: ["MODE"],
        kms_id: planned.kms_info.id,
        contract_address: appId,
        deployer_address: lane.world.owner.address,
      });
      await expectCreated(lane, await lane.findCvm(name, "on-chain"));
    },
  },
  {
    name: "create a CVM, off-chain KMS: plan, create",
    cli: async ({ cli, lane }) => {
      const name = newName();
      await cli.succeed(["deploy", "-n", name, "-c", compose, "-e", "MODE=blue", "--json"], { files });
      await expectCreated(lane, await lane.findCvm(name, "off-chain"));
    },
    sdk: async ({ sdk, lane }) => {
      const name = newName();
      const planned = Object(
        await sdk.call("provisionCvm", {
          name,
          compose_file: { docker_compose_file: nextCompose, allowed_envs: ["MODE"], name: "" },
          kms: "PHALA",
          instance_type: "tdx.small",
        }),
      );
      const encrypted_env = encryptEnvironment(firstEnvironment, planned.app_env_encrypt_pubkey);
      const { app_id, compose_hash } = planned;
      await sdk.call("commitCvmProvision", { app_id, compose_hash, encrypted_env, env_keys: ["MODE"] });
      await expectCreated(lane, await lane.findCvm(name, "off-chain"));
    },
  },
];

export const deployGroups: readonly OperationGroup[] = [
  { title: "Creating", operations: fresh },
  { title: "Updates by the CLI", operations: [...updates, ...refusedConfirmations] },
  { title: "Prepare and commit", operations: prepared },
];

function onChain({ ownerKey, world }: Lane): string[] {
  return ["--private-key", ownerKey, "--rpc-url", world.chain.rpcUrl];
}

function update(cli: Cli, lane: Lane, { id }: TestCvm, more: readonly string[], options?: CliOptions): Promise<CliRun> {
  const args = ["deploy", "--cvm-id", id, "-c", compose, ...onChain(lane), ...more];
  return cli.succeed(args, { files, ...options });
}

/** Sends the transaction, and the cloud refuses the confirmation. Returns the text of the CLI. */
async function refuseConfirmation(cli: Cli, lane: Lane, cvm: TestCvm, intercept: Intercept): Promise<string> {
  let text = "";
  await withRpcProxy(lane, intercept, async (url) => {
    const args = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--private-key", lane.ownerKey, "--rpc-url", url];
    ({ text } = await cli.fail(args, { files }));
  });
  return text;
}

function addedHash(receipt: unknown): string {
  const { logs }: { logs: readonly { data: string }[] } = Object(receipt);
  const [log] = logs;
  if (!log) throw new Error("The transaction logged nothing.");
  return log.data;
}

async function expectUpdated(lane: Lane, cvm: TestCvm, wanted: Parameters<typeof expectInForce>[2]): Promise<void> {
  await expectInForce(lane, cvm, wanted);
  const last = lane.world.cloud.readHistory(cvm.id).at(-1);
  if (!last?.transactionHash) throw new Error("The backend knows no transaction.");
  await expectRegistered(lane, cvm, { composeHash: last.composeHash, transactionHash: last.transactionHash });
}

async function prepare(cli: Cli, lane: Lane, cvm: TestCvm, text = nextCompose) {
  const args = ["deploy", "--cvm-id", cvm.id, "-c", compose, "--prepare-only", "--json"];
  const answer = (await cli.succeed(args, { files: { [compose]: text } })).json();
  const composeHash = parseComposeHash(String(answer.compose_hash));
  expect(answer, "commit URLs").to.include.keys("commit_token", "commit_url", "api_commit_url");
  expect(answer.onchain_status).to.deep.equal({
    compose_hash_allowed: false,
    device_id_allowed: true,
    is_allowed: false,
  });
  expect(await isHashAllowed(lane, cvm, composeHash), "hash on chain").to.equal(false);
  return { token: String(answer.commit_token), composeHash };
}

function commitArgs(cvm: TestCvm, token: string, more: readonly string[]): string[] {
  return ["deploy", "--cvm-id", cvm.id, "--commit", "--token", token, ...more];
}

function commit(cli: Cli, cvm: TestCvm, token: string, more: readonly string[]): Promise<CliRun> {
  return cli.succeed(commitArgs(cvm, token, more));
}

/** The CLI prints one text for every refusal, so the status is read from the cloud's answer. */
export async function refuseCommit(
  cli: Cli,
  lane: Lane,
  cvm: TestCvm,
  token: string,
  more: readonly string[],
  status: number,
): Promise<void> {
  const { text } = await cli.fail(commitArgs(cvm, token, more));
  expect(text).to.include("Failed to commit CVM update");
  expect(lane.lastAnswer(`/cvms/${cvm.id}/commit-update`), "status").to.equal(status);
}

/** A new CVM runs. On an on-chain KMS, its contract allows its hash and its device. */
async function expectCreated(lane: Lane, cvm: TestCvm): Promise<void> {
  const { composeHash } = cvm;
  await expectInForce(lane, cvm, { document: { docker_compose_file: nextCompose }, composeHash });
  if (cvm.kms === "off-chain") return;
  expect(await isHashAllowed(lane, cvm, composeHash), "hash on chain").to.equal(true);
  expect((await readDevices(lane, cvm, cvm.deviceId)).deviceListed, "device on chain").to.equal(true);
}
