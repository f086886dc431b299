import { expect } from "chai";
import { network } from "hardhat";
import { encodeFunctionData, type Hex, keccak256, parseGwei } from "viem";
import { getTransactionCount, sendRawTransaction, writeContract } from "viem/actions";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { deployForwarder, forward } from "../../../support/mock-cloud/call-forwarder.ts";
import {
  type CloudWorld,
  createOnChainCvm,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";

describe("verification of a registration", () => {
  let world: CloudWorld;
  let rpc: FaultyRpc;
  let cvm: TestCvm;
  let composeHash: string;

  before(async () => {
    const connection = await network.create("local");
    rpc = faultyRpc(connection.provider);
    world = await startCloudWorld(connection, { rpc: rpc.transport });
  });
  after(() => world.cloud.close());
  afterEach(() => rpc.setFault(undefined));

  beforeEach(async () => {
    cvm = await createOnChainCvm(world);
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
      body: { docker_compose_file: "services:\n  app:\n    image: nginx:2\n" },
    });
    expect(answer.status).to.equal(465);
    composeHash = String(answer.body.compose_hash);
  });

  function confirm(transactionHash: string) {
    return request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
      body: {},
      headers: { "X-Compose-Hash": composeHash, "X-Transaction-Hash": transactionHash },
    });
  }

  async function expectRefusal(transactionHash: string, status: number, errorCode: string, says: string) {
    const answer = await confirm(transactionHash);
    expect(answer.status).to.equal(status);
    expect(answer.body).to.include({ error_code: errorCode });
    expect(answer.body.message).to.include(says);
    expect(answer.body.correlation_id).to.equal(answer.headers.get("X-Request-ID"));
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    expect(body).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2), in_progress: false });
  }

  async function expectAccepted(transactionHash: string) {
    const answer = await confirm(transactionHash);
    expect(answer.status, answer.text).to.equal(202);
    await world.cloud.whenIdle();
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    expect(body).to.include({ status: "running", compose_hash: composeHash });
  }

  it("accepts the app's own event, also after refused confirmations", async () => {
    await expectRefusal(`0x${"77".repeat(32)}`, 467, "ERR-01-007", "was not found on chain 8453");
    await expectRefusal("already-registered", 468, "ERR-01-008", "does not allow");
    await expectAccepted(await registerHash(world, cvm.appId, composeHash));
  });

  it("accepts already-registered once the contract allows the hash", async () => {
    await registerHash(world, cvm.appId, composeHash);
    await expectAccepted("already-registered");
  });

  it("accepts a registration sent through a contract that owns the app", async () => {
    const { client, owner } = world.dstack;
    const forwarder = await deployForwarder(world.dstack);
    const app = { address: cvm.appId, abi: dstackAppAbi, account: owner, chain: client.chain } as const;
    await writeContract(client, { ...app, functionName: "transferOwnership", args: [forwarder] });
    const accept = encodeFunctionData({ abi: dstackAppAbi, functionName: "acceptOwnership" });
    await forward(world.dstack, forwarder, cvm.appId, accept);

    const args = [parseComposeHash(composeHash)] as const;
    const add = encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args });
    await expectAccepted(await forward(world.dstack, forwarder, cvm.appId, add));
  });

  it("accepts an older transaction that added the same hash", async () => {
    const first = await registerHash(world, cvm.appId, composeHash);
    await registerHash(world, cvm.appId, composeHash);
    await expectAccepted(first);
  });

  it("refuses a transaction that was mined and reverted", async () => {
    const { client, stranger } = world.dstack;
    const args = [parseComposeHash(composeHash)] as const;
    const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "addComposeHash", args });
    const serializedTransaction = await stranger.signTransaction({
      type: "eip1559",
      chainId: 8453,
      nonce: await getTransactionCount(client, { address: stranger.address }),
      to: cvm.appId,
      data,
      gas: 200_000n,
      maxFeePerGas: parseGwei("10"),
      maxPriorityFeePerGas: 1n,
    });
    // The in-process node reports the revert at once; the transaction is mined all the same.
    await sendRawTransaction(client, { serializedTransaction }).catch(() => undefined);
    await expectRefusal(keccak256(serializedTransaction), 467, "ERR-01-007", "was reverted");
  });

  it("refuses the event of another app, although that app allows the hash", async () => {
    const other = await createOnChainCvm(world, { allowedEnvs: ["OTHER"] });
    const transactionHash = await registerHash(world, other.appId, composeHash);
    await expectRefusal(transactionHash, 467, "ERR-01-007", `to contract ${other.appId}`);
  });

  it("refuses the app's event for another hash", async () => {
    const other = `0x${"99".repeat(32)}`;
    await expectRefusal(await registerHash(world, cvm.appId, other), 467, "ERR-01-007", other);
  });

  it("refuses a transaction of the app that adds no hash", async () => {
    const { client, owner } = world.dstack;
    const deviceId = parseDeviceId(composeHash);
    const transactionHash = await addDevice(client, { account: owner, appId: cvm.appId, deviceId });
    await expectRefusal(transactionHash, 467, "ERR-01-007", "holds no ComposeHashAdded event");
  });

  it("refuses a removed hash, and accepts it once it is added again", async () => {
    const { client, owner } = world.dstack;
    const added = await registerHash(world, cvm.appId, composeHash);
    await removeComposeHash(client, { account: owner, appId: cvm.appId, composeHash: parseComposeHash(composeHash) });
    await expectRefusal(added, 468, "ERR-01-008", "was removed after");
    await expectRefusal("already-registered", 468, "ERR-01-008", "does not allow");
    await registerHash(world, cvm.appId, composeHash);
    await expectAccepted(added);
  });

  it("waits for a receipt that the backend's endpoint has late", async () => {
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    let isHidden = true;
    rpc.setFault((method) => {
      if (method !== "eth_getTransactionReceipt" || !isHidden) return undefined;
      isHidden = false;
      return Promise.resolve(null);
    });
    await expectAccepted(transactionHash);
    expect(isHidden).to.equal(false);
  });

  it("does not trust the state of an endpoint that is behind the receipt", async () => {
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    rpc.setFault((method) => (method === "eth_blockNumber" ? Promise.resolve("0x1" satisfies Hex) : undefined));
    await expectRefusal(transactionHash, 503, "ERR-01-503", "cannot read chain 8453");
    rpc.setFault(undefined);
    await expectAccepted(transactionHash);
  });

  it("answers 503 with Retry-After, never 467, while its endpoint is down", async () => {
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    rpc.setFault(() => Promise.reject(new Error("connection refused")));
    await expectRefusal(transactionHash, 503, "ERR-01-503", "nothing was verified");
    expect((await confirm(transactionHash)).headers.get("Retry-After")).to.equal("5");
    rpc.setFault(undefined);
    await expectAccepted(transactionHash);
  });

  it("answers 503 when its endpoint serves another chain than the KMS's", async () => {
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    rpc.setFault((method) => (method === "eth_chainId" ? Promise.resolve("0x1" satisfies Hex) : undefined));
    await expectRefusal(transactionHash, 503, "ERR-01-503", "cannot read chain 8453");
  });
});
