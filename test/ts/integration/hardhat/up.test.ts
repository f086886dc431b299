import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import hre from "hardhat";
import { memoryLedger, readOwnership } from "../../../../src/chain/index.ts";
import { sendOwnerCall } from "../../../../src/chain/transactions/send-call.ts";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { readAdoption } from "../../../../src/commands/adopt.ts";
import { parseUpArguments, toShell, type UpArguments, up, type WorldDescription } from "../../../../src/commands/up.ts";
import { type AppId, parseAppId } from "../../../../src/core/ids.ts";
import { acceptOwnershipCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import { hostOf } from "../../../../src/hardhat/connect.ts";
import type { DstackUserConfig } from "../../../../src/hardhat/type-extensions.ts";
import { updateCvm } from "../../../../src/update/index.ts";
import { createOwnerClient, devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { formatAdoptedCvms, readAdoptedCvms, startWorld, type World } from "../../../../src/world/index.ts";
import { projectOf } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { isListening } from "../../../support/world/sockets.ts";

const rpc = "http://127.0.0.1:1";
const kms = `0x${"12".repeat(20)}`;
const notAsked = () => Promise.reject(new Error("not asked for"));

describe("task dstack up", () => {
  it("starts a world, keeps it until a signal, and then closes it", async () => {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const stop = new AbortController();
    const done = up(
      { chainPort: "0", cloudPort: "0", json: true, safe: "2/3" },
      { stdout, stderr, signal: stop.signal, readOwnerKey: notAsked, readAdoption: notAsked },
    );
    const [line] = (await Promise.race([once(stdout, "data"), done])) as [Buffer];
    const { environment, rpcUrl, apiUrl, safe } = JSON.parse(line.toString()) as WorldDescription;
    const cloud = createCloudClient({
      apiKey: environment.PHALA_CLOUD_API_KEY,
      baseUrl: environment.PHALA_CLOUD_API_PREFIX,
    });
    expect(safe).to.deep.include({ version: "1.5.0", threshold: 2 });
    expect(environment).to.deep.include({ ONCHAIN_SAFE: safe?.address, SAFE_OWNER_KEY_3: devPrivateKey(2) });
    expect(await getCvm(cloud, { cvm: "onchain-app" })).to.include({ status: "running" });

    stop.abort();
    await done;
    expect(await Promise.all([isListening(rpcUrl), isListening(apiUrl)])).to.deep.equal([false, false]);
    stderr.end();
    expect(await text(stderr)).to.equal("");
  });

  describe("with a live KMS and CVMs of a real cloud", () => {
    const directory = useTemporaryDirectory();
    /** Stands in for the real chain and cloud. Its account 3 owns the app. */
    let real: World;
    let appId: AppId;

    before(async () => {
      real = await startWorld({ cloud: { rolloverMs: 0 } });
      appId = real.cvms.onChain?.appId ?? parseAppId(kms);
      const { rpcUrl, client } = real.chain;
      const owner = devAccount(3);
      await sendOwnerCall(real.ownerClient, transferOwnershipCall({ appId, newOwner: owner.address }), {});
      const ownerClient = createOwnerClient({ rpcUrl, chain: client.chain, owner });
      await sendOwnerCall(ownerClient, acceptOwnershipCall({ appId }), {});
    });

    after(() => real.close());

    async function withUp(
      args: UpArguments,
      act: (world: WorldDescription, cloud: CloudClient) => Promise<void>,
      config: DstackUserConfig = {},
    ): Promise<string> {
      const [stdout, stderr, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
      const host = hostOf(await projectOf(real, { apps: { shop: appId }, ...config }));
      const done = up(
        { chainPort: "0", cloudPort: "0", json: true, ...args },
        {
          ...{ stdout, stderr, signal: stop.signal, readOwnerKey: notAsked },
          readAdoption: (parameters) => readAdoption(host, parameters),
        },
      );
      try {
        const [line] = (await Promise.race([once(stdout, "data"), done])) as [Buffer];
        const world = JSON.parse(line.toString()) as WorldDescription;
        const { PHALA_CLOUD_API_KEY: apiKey, PHALA_CLOUD_API_PREFIX: baseUrl } = world.environment;
        await act(world, createCloudClient({ apiKey, baseUrl }));
      } finally {
        stop.abort();
        await done.catch(() => {});
        stderr.end();
      }
      return text(stderr);
    }

    it("adopts the CVMs of the cloud, says whose apps they are, and repeats all of it offline", async () => {
      const [record, cvms] = [join(directory.path, "fork.jsonl"), join(directory.path, "cvms.json")];
      const check = async ({ kms, adopted, cvms }: WorldDescription, cloud: CloudClient) => {
        const running = await getCvm(real.cloudClient, { cvm: "onchain-app" });
        expect([kms, cvms]).to.deep.equal([real.contracts.kms, {}]);
        expect(adopted?.apps).to.deep.equal([{ appId, owner: devAccount(3).address, ownerKind: "eoa" }]);
        const cvm = { id: running.id, name: "onchain-app", appId, status: "running", composeHash: running.composeHash };
        expect(adopted?.cvms).to.deep.equal([cvm]);
        expect(await getCvm(cloud, { cvm: running.id })).to.include({ composeHash: running.composeHash });
      };
      expect(await withUp({ fork: real.chain.rpcUrl, adopt: "shop", record, cvms }, check)).to.include("Wrote 1 CVM");
      expect(await withUp({ offline: record, cvms }, check, { cloud: { baseUrl: rpc, apiKey: "k" } })).to.equal("");
    });

    it("gives the apps to its own account, so that a client with its key can update them", async () => {
      await withUp({ fork: real.chain.rpcUrl, adopt: appId, takeOwnership: true }, async (world, cloud) => {
        expect(world.adopted?.apps).to.deep.equal([{ appId, owner: devAccount(0).address, ownerKind: "eoa" }]);
        const { rpcUrl } = world;
        const { outcome } = await updateCvm({
          ...{ cloud, cvm: "onchain-app", dockerCompose: "services:\n  web:\n    image: nginx:1.29\n" },
          chain: createOwnerClient({ rpcUrl, chain: real.chain.client.chain, owner: devAccount(0) }),
          ...{ ledger: memoryLedger(), pollChainMs: 20, pollCloudMs: 20 },
        });
        expect(outcome).to.equal("updated");
      });
      expect(await readOwnership(real.chain.client, { appId })).to.include({ owner: devAccount(3).address });
    });

    it("refuses apps without CVMs, and its own cloud as the real one", async () => {
      const fork = real.chain.rpcUrl;
      const start = (args: UpArguments) => rejection(withUp({ fork, ...args }, notAsked));
      expect(String(await start({ adopt: kms }))).to.include(`has no CVM of app ${kms}`);
      const cloudPort = new URL(real.cloud.url).port;
      expect(String(await start({ adopt: "shop", cloudPort }))).to.include("is the one that this world starts");
      const cvms = join(directory.path, "none.json");
      expect(String(await start({ cvms }))).to.include("--adopt names no app");
      await writeFile(cvms, formatAdoptedCvms(await readAdoptedCvms(real.cloudClient, { appIds: [appId] })));
      expect(String(await start({ cvms, adopt: kms }))).to.include(`has no CVM of app ${kms}`);
      await writeFile(cvms, "{}");
      expect(String(await start({ cvms }))).to.include("not valid: at kind: expected");
    });
  });

  describe("through Hardhat's task runner", () => {
    let stderr: string;
    const write = process.stderr.write;
    beforeEach(() => {
      stderr = "";
      process.stderr.write = (chunk: unknown) => {
        stderr += String(chunk);
        return true;
      };
    });
    afterEach(() => {
      process.stderr.write = write;
      process.exitCode = undefined;
    });

    const refused: readonly [string, UpArguments, string][] = [
      ["a port that is not a number", { chainPort: "many" }, "--chain-port"],
      ["a port with a sign", { chainPort: "-1" }, "--chain-port"],
      ["a port that is too large", { cloudPort: "65536" }, "--cloud-port"],
      ["an empty port", { cloudPort: "" }, "--cloud-port"],
      ["an invalid fork URL", { fork: "base" }, "--fork"],
      ["a fork URL of another scheme", { fork: "file:///chain" }, "--fork"],
      ["--chain-rpc without --kms", { chainRpc: rpc }, "--kms"],
      ["--kms without --chain-rpc", { kms }, "--chain-rpc"],
      ["--at without --fork", { at: "12" }, "--at needs --fork"],
      ["--adopt without --fork", { adopt: "shop" }, "--adopt needs --fork"],
      ["a block that is a date", { fork: rpc, at: "2026-11-21" }, "--at must be a block number"],
      ["--offline with --fork", { fork: rpc, offline: "x.jsonl" }, "--offline"],
      ["--take-ownership without CVMs", { fork: rpc, takeOwnership: true }, "--take-ownership needs --adopt"],
      ["--safe with adopted CVMs", { fork: rpc, adopt: kms, safe: "2/3" }, "--safe"],
      ["an app without a name in the configuration", { fork: rpc, adopt: "nothing" }, "no app named nothing"],
      ["neither an API key nor a file", { fork: rpc, adopt: kms }, "a file with --cvms"],
      ["--offline without a file of CVMs", { offline: "x.jsonl", adopt: kms }, "--offline reads the CVMs"],
      ["--adopt with --chain-rpc", { chainRpc: rpc, kms, adopt: kms }, "--adopt"],
      ["--fork with --chain-rpc", { chainRpc: rpc, kms, fork: rpc }, "--fork"],
      ["--chain-port with --chain-rpc", { chainRpc: rpc, kms, chainPort: "0" }, "--chain-port"],
      ["a finality that no node knows", { finality: "soon" }, "--finality must be latest, safe or finalized."],
      ["a block time in seconds", { blockTime: "0.2" }, "milliseconds"],
      ["a block time of a day", { blockTime: "86400000" }, "--block-time"],
      ["a chain id that no wallet accepts", { chainId: "9007199254740991" }, "--chain-id"],
      ["the chain id 0", { chainId: "0" }, "--chain-id"],
      ["an age that is not a number", { safeLag: "1m" }, "--safe-lag"],
      ["blocks that are final before they are safe", { safeLag: "10", finalizedLag: "9" }, "--finalized-lag"],
      ["a timer with a state file", { blockTime: "200", state: "unused.db" }, "--block-time"],
      ...["chainId", "blockTime", "safeLag", "finalizedLag"].map((option): [string, UpArguments, string] => [
        `${option} with --chain-rpc`,
        { chainRpc: rpc, kms, [option]: "1" },
        "--chain-rpc",
      ]),
      ["a Safe without its number of owners", { safe: "2" }, "SIGNATURES/OWNERS"],
      ["a Safe that requires more signatures than it has owners", { safe: "3/2" }, "--safe"],
      ["a Safe with more owners than the chain has accounts", { safe: "2/21" }, "20 owners"],
      ["a Safe of a release that it cannot deploy", { safe: "2/3@1.3.0" }, "1.4.1 or 1.5.0"],
      ["an invalid KMS address", { chainRpc: rpc, kms: "0x12" }, "--kms"],
      ["a host name with a scheme", { allowedHosts: "a.example, http://b.example" }, "--allowed-hosts"],
      ["any origin", { allowedOrigins: "*" }, "--allowed-origins"],
      ["a state file without a name", { state: "" }, "--state"],
      ["a state file of another kind", { state: "package.json" }, "package.json"],
    ];
    for (const [what, args, word] of refused) {
      it(`refuses ${what} in one clear sentence, with exit code 2`, async () => {
        const code = await hre.tasks.getTask(["dstack", "up"]).run({ ...args });
        expect([code, process.exitCode]).to.deep.equal([2, 2]);
        expect(stderr)
          .to.match(/(?:^|…\n)DSTK-1\d{3} .+\n(?: {10}.+\n)*\S.+\n(?: {2}.+\n)*$/)
          .and.to.include(word);
      });
    }

    it("names no secret of a URL that failed", async () => {
      const code = await hre.tasks
        .getTask(["dstack", "up"])
        .run({ chainRpc: "http://127.0.0.1:1/v2/secretsecretsecret1", kms, cloudPort: "0" });
      expect(code).to.equal(3);
      expect(stderr).to.include("RPC").and.to.not.include("secretsecret");
    });
  });

  it("has fixed ports by default, and free ones for port 0", () => {
    const unset = {
      ...{ forkUrl: undefined, forkBlock: undefined, record: undefined, replay: undefined, chainId: undefined },
      ...{ kms: undefined, adoption: undefined },
      ...{ blockTimeMs: undefined, safeLagSeconds: undefined, finalizedLagSeconds: undefined },
    };
    expect(parseUpArguments({})).to.deep.equal({
      chain: { kind: "own", chainPort: 8545, ...unset },
      cloudPort: 4000,
      allowedHosts: [],
      allowedOrigins: [],
      deviceLogin: false,
      privateWebhooks: false,
      finality: undefined,
      safe: undefined,
      stateFile: undefined,
      hasAdmin: false,
      isJson: false,
    });
    expect(parseUpArguments({ chainPort: "0", cloudPort: "0" })).to.deep.include({
      chain: { kind: "own", chainPort: 0, ...unset },
      cloudPort: 0,
    });
  });

  it("quotes values for the shell", () => {
    const rpcUrl = "https://rpc.example/?key=a&b='c' $(d)";
    const lines = toShell({
      apiUrl: "http://127.0.0.1:1/api/v1",
      openApiUrl: "http://127.0.0.1:1/openapi.json",
      rpcUrl: "http://127.0.0.1:2",
      chainId: 8453,
      kms,
      appImplementation: kms,
      owner: undefined,
      cvms: {},
      note: undefined,
      environment: {
        PHALA_CLOUD_API_PREFIX: "http://127.0.0.1:1/api/v1",
        PHALA_CLOUD_API_KEY: "k",
        ETH_RPC_URL: rpcUrl,
      },
    } as WorldDescription);
    expect(lines).to.include("export ETH_RPC_URL='https://rpc.example/?key=a&b='\\''c'\\'' $(d)'\n");
  });
});
