import { expect } from "chai";
import { createWalletClient, http, parseEther } from "viem";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { InvalidArgumentError, InvalidHexError, NoContractError } from "../../../../src/errors/index.ts";
import { dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { attachWorld } from "../../../../src/world/attach-world.ts";
import { createOwnerClient, devAccount } from "../../../../src/world/chain/client.ts";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { type DeployedContracts, deployContracts } from "../../../../src/world/contracts.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { rewriteRpc } from "../../../support/world/rewriting-rpc.ts";
import { openSockets, untilSocketsAre } from "../../../support/world/sockets.ts";

describe("attachWorld", () => {
  const directory = useTemporaryDirectory();
  const cloud = { rolloverMs: 0 };
  let chain: LocalChain;
  /** The same chain with the client version of a real one. */
  let real: TestServer;
  let contracts: DeployedContracts;

  beforeEach(async () => {
    chain = await startChain();
    real = await rewriteRpc(chain.rpcUrl, (method, result) =>
      method === "web3_clientVersion" ? "op-geth/v1.101" : result,
    );
    const { rpcUrl, client } = chain;
    contracts = await deployContracts(createOwnerClient({ rpcUrl, chain: client.chain, owner: devAccount(0) }));
  });
  afterEach(async () => {
    await real.close();
    await chain.close();
  });

  const publishedKey = async () => {
    const { client } = chain;
    return (await client.readContract({ address: contracts.kms, abi: dstackKmsAbi, functionName: "kmsInfo" }))[0];
  };

  it("signs nothing without a key, and says what is missing", async () => {
    const height = await chain.client.getBlockNumber();
    const world = await attachWorld({ rpcUrl: chain.rpcUrl, kms: contracts.kms, cloud });
    try {
      expect(world.contracts.appImplementation.toLowerCase()).to.equal(contracts.appImplementation);
      expect(Object.keys(world.cvms)).to.deep.equal(["offChain"]);
      expect(world.missing).to.include("key");
      expect(world.environment).to.not.have.property("PRIVATE_KEY");
      // The node itself published the mock KMS's key, as the owner.
      expect(await chain.client.getBlockNumber()).to.equal(height + 1n);
    } finally {
      await world.close();
    }
  });

  it("publishes the mock KMS's key on a dev chain as the owner, also as a contract without funds", async () => {
    const { client } = chain;
    const kms = contracts.kms;
    const owner = contracts.appImplementation; // any contract
    const given = { abi: dstackKmsAbi, address: kms } as const;
    await client.impersonateAccount({ address: owner });
    const from = devAccount(0).address;
    await client.impersonateAccount({ address: from });
    const send = createWalletClient({ chain: client.chain, transport: http(chain.rpcUrl) });
    await send.writeContract({ ...given, account: from, functionName: "transferOwnership", args: [owner] });
    await client.setBalance({ address: owner, value: parseEther("1") });
    await send.writeContract({ ...given, account: owner, functionName: "acceptOwnership" });
    await client.setBalance({ address: owner, value: 0n });
    await client.stopImpersonatingAccount({ address: owner });

    const first = await attachWorld({ rpcUrl: chain.rpcUrl, kms, cloud });
    const height = await client.getBlockNumber({ cacheTime: 0 });
    const ours = first.cloud.kmsPublicKey("kms-base-1");
    await first.close();
    expect(await publishedKey()).to.equal(ours);
    expect([first.unprovable, first.environment.DSTACK_KMS]).to.deep.equal([undefined, kms]);

    const second = await attachWorld({ rpcUrl: chain.rpcUrl, kms, cloud });
    await second.close();
    expect(await client.getBlockNumber({ cacheTime: 0 })).to.equal(height);
  });

  it("does not change a real KMS's key, and says how to update", async () => {
    const world = await attachWorld({ rpcUrl: real.url, kms: contracts.kms, owner: devAccount(0), cloud });
    const ours = world.cloud.kmsPublicKey("kms-base-1");
    await world.close();
    expect(await publishedKey()).to.equal("0x");
    expect(world.unprovable).to.include("expectedKmsPublicKey").and.to.include(ours);
  });

  it("continues when a dev chain refuses, and says so", async () => {
    const refusing = await startServer(async (response, { body }) => {
      const { id, method } = JSON.parse(body) as { id: number; method: string };
      if (method === "hardhat_impersonateAccount") {
        sendJson(response, 200, { jsonrpc: "2.0", id, error: { code: -32601, message: "no impersonation here" } });
        return;
      }
      const upstream = await fetch(chain.rpcUrl, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      sendJson(response, 200, await upstream.json());
    });
    const world = await attachWorld({ rpcUrl: refusing.url, kms: contracts.kms, cloud });
    await world.close();
    await refusing.close();
    expect(world.unprovable).to.include("no impersonation here").and.to.include("acceptUnprovenKey");
  });

  it("creates the on-chain CVM with the key of the KMS's owner on a dev chain", async () => {
    const owner = devAccount(0);
    const world = await attachWorld({ rpcUrl: chain.rpcUrl, kms: contracts.kms, owner, cloud });
    try {
      expect(world.missing).to.equal(undefined);
      const { status, appId, composeHash } = await getCvm(world.cloudClient, { cvm: "onchain-app" });
      if (appId === undefined || composeHash === undefined) throw new Error("an on-chain CVM has both");
      expect(status).to.equal("running");
      const allowlist = await readAllowlist(chain.client, { appId, composeHash });
      expect([allowlist.owner, allowlist.composeHashAllowed]).to.deep.equal([owner.address, true]);
      expect(world.environment).to.not.have.property("PRIVATE_KEY");
    } finally {
      await world.close();
    }
  });

  it("moves a dev chain's time and state together with the cloud's", async () => {
    const world = await attachWorld({ rpcUrl: chain.rpcUrl, kms: contracts.kms, owner: devAccount(0), cloud });
    try {
      const before = await chain.client.getBlock();
      const name = await world.snapshot();
      await world.advance(86_400);
      const after = await chain.client.getBlock();
      expect(Number(after.timestamp - before.timestamp)).to.be.closeTo(86_400, 30);
      await world.restore(name);
      expect((await chain.client.getBlock()).hash).to.equal(before.hash);
    } finally {
      await world.close();
    }
  });

  it("moves only the cloud on a real chain", async () => {
    const world = await attachWorld({ rpcUrl: real.url, kms: contracts.kms, cloud });
    try {
      const before = await chain.client.getBlock();
      const name = await world.snapshot();
      await world.advance(86_400);
      await world.restore(name);
      expect(await chain.client.getBlock()).to.deep.equal(before);
    } finally {
      await world.close();
    }
  });

  it("never registers a mock image with a real KMS, even with its owner's key", async () => {
    const height = await chain.client.getBlockNumber();
    const world = await attachWorld({ rpcUrl: real.url, kms: contracts.kms, owner: devAccount(0), cloud });
    try {
      expect(world.missing).to.include(world.osImages[0].hash);
      expect(Object.keys(world.cvms)).to.deep.equal(["offChain"]);
      expect(await chain.client.getBlockNumber()).to.equal(height);
    } finally {
      await world.close();
    }
  });

  it("creates the on-chain CVM without the KMS owner's key when the KMS allows the OS image", async () => {
    const prepared = await attachWorld({ rpcUrl: chain.rpcUrl, kms: contracts.kms, owner: devAccount(0), cloud });
    await prepared.close();
    const owner = devAccount(5);
    const world = await attachWorld({ rpcUrl: real.url, kms: contracts.kms, owner, cloud });
    try {
      expect(world.missing).to.equal(undefined);
      expect(await getCvm(world.cloudClient, { cvm: "onchain-app" })).to.include({ status: "running" });
    } finally {
      await world.close();
    }
  });

  it("creates the on-chain CVM later, once it has a key", async () => {
    const parameters = { rpcUrl: chain.rpcUrl, kms: contracts.kms, stateFile: `${directory.path}/world.db`, cloud };
    const first = await attachWorld(parameters);
    await first.close();
    const second = await attachWorld({ ...parameters, owner: devAccount(0) });
    await second.close();
    const third = await attachWorld(parameters);
    await third.close();

    expect(second.cvms.offChain).to.deep.equal(first.cvms.offChain);
    expect(Object.keys(second.cvms)).to.have.members(["onChain", "offChain"]);
    expect([third.cvms, third.missing]).to.deep.equal([second.cvms, undefined]);
  });

  it("continues with a state file, but only on the same chain and KMS", async () => {
    const stateFile = `${directory.path}/world.db`;
    const parameters = { rpcUrl: chain.rpcUrl, kms: contracts.kms, owner: devAccount(0), stateFile, cloud };
    const first = await attachWorld(parameters);
    await first.close();
    const height = await chain.client.getBlockNumber();

    const second = await attachWorld(parameters);
    expect([second.apiKey, second.cvms]).to.deep.equal([first.apiKey, first.cvms]);
    expect(await chain.client.getBlockNumber()).to.equal(height);
    await second.close();

    const { rpcUrl, client } = chain;
    const other = await deployContracts(createOwnerClient({ rpcUrl, chain: client.chain, owner: devAccount(0) }));
    await catchError(attachWorld({ ...parameters, kms: other.kms }), InvalidArgumentError);
  });

  it("refuses a contract that is not a KMS, and leaves nothing running", async () => {
    const sockets = openSockets();
    const { rpcUrl } = chain;
    await catchError(attachWorld({ rpcUrl, kms: contracts.appImplementation }), InvalidArgumentError);
    await catchError(attachWorld({ rpcUrl, kms: devAccount(7).address }), NoContractError);
    await catchError(attachWorld({ rpcUrl, kms: "0x12" }), InvalidHexError);
    await untilSocketsAre(sockets);
  });
});
