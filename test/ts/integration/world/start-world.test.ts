import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import { InvalidArgumentError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { updateCvm } from "../../../../src/update/update-cvm.ts";
import { startChain } from "../../../../src/world/chain/start-chain.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { rejection } from "../../../support/rejection.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { rewriteRpc } from "../../../support/world/rewriting-rpc.ts";
import { isListening, openSockets, untilSocketsAre } from "../../../support/world/sockets.ts";

const fast = { cloud: { rolloverMs: 0 } };

describe("startWorld", () => {
  const directory = useTemporaryDirectory();

  it("starts a chain, its contracts and a cloud with one CVM of each kind", async () => {
    const world = await startWorld(fast);
    try {
      const { onChain, offChain } = world.cvms;
      for (const { name } of [onChain, offChain].filter((cvm) => cvm !== undefined)) {
        expect(await getCvm(world.cloudClient, { cvm: name })).to.include({ status: "running", busy: false });
      }
      const { composeHash, chainId, kmsContractAddress } = await getCvm(world.cloudClient, { cvm: "onchain-app" });
      expect([chainId, kmsContractAddress]).to.deep.equal([8453, world.contracts.kms]);
      expect((await getCvm(world.cloudClient, { cvm: "offchain-app" })).chainId).to.equal(undefined);
      const appId = onChain?.appId;
      if (appId === undefined || composeHash === undefined) throw new Error("an on-chain CVM has both");
      const allowlist = await readAllowlist(world.chain.client, {
        appId,
        composeHash,
        deviceId: world.nodes[0].deviceId,
      });
      expect(allowlist).to.include({ composeHashAllowed: true, deviceAllowed: true });
      expect(allowlist.owner.toLowerCase()).to.equal(world.owner.address.toLowerCase());
      expect(world.cloud.readEnvironment(onChain?.id ?? "")).to.deep.equal([{ key: "GREETING", value: "hello" }]);
      const { kms } = world.contracts;
      const [published] = await world.chain.client.readContract({
        address: kms,
        abi: dstackKmsAbi,
        functionName: "kmsInfo",
      });
      expect(published).to.equal(world.cloud.kmsPublicKey("kms-base-1"));
      expect(world.environment).to.include({ DSTACK_KMS: kms });
    } finally {
      await world.close();
    }
  });

  it("starts without CVMs with an option", async () => {
    const world = await startWorld({ ...fast, cvms: false });
    try {
      expect(world.cvms).to.deep.equal({});
    } finally {
      await world.close();
    }
  });

  it("starts three separate worlds at the same time, and leaves no port or connection open", async () => {
    const sockets = openSockets();
    const worlds = await Promise.all([startWorld(fast), startWorld(fast), startWorld(fast)]);
    const [first, second, third] = worlds as [World, World, World];
    const addresses = worlds.flatMap(({ chain, cloud }) => [chain.rpcUrl, cloud.url]);
    expect(new Set(addresses).size).to.equal(6);
    expect(new Set(worlds.map(({ apiKey }) => apiKey)).size).to.equal(3);

    await second.chain.client.mine({ blocks: 5 });
    const heights = await Promise.all(worlds.map(({ chain }) => chain.client.getBlockNumber()));
    expect(heights[1]).to.equal((heights[0] ?? 0n) + 5n);
    await second.close();
    expect(await isListening(first.chain.rpcUrl)).to.equal(true);
    expect(await getCvm(third.cloudClient, { cvm: "onchain-app" })).to.include({ status: "running" });

    await Promise.all([first.close(), third.close()]);
    expect(await Promise.all(addresses.map(isListening))).to.deep.equal(Array(6).fill(false));
    await untilSocketsAre(sockets);
  });

  it("can be closed twice", async () => {
    const world = await startWorld({ ...fast, cvms: false });
    await Promise.all([world.close(), world.close()]);
    expect(await isListening(world.chain.rpcUrl)).to.equal(false);
    await world.close();
  });

  describe("when the start fails", () => {
    for (const [what, parameters, ErrorType] of [
      ["the RPC to fork does not answer", { forkUrl: "http://127.0.0.1:1" }, RpcUnavailableError],
      ["the contracts cannot be deployed", { deploy: () => Promise.reject(new RangeError("out of gas")) }, RangeError],
      ["it is interrupted", { signal: AbortSignal.abort() }, DOMException],
      ["the state file is another kind of file", { stateFile: "README.md" }, InvalidArgumentError],
    ] as const) {
      it(`leaves nothing running if ${what}`, async () => {
        const sockets = openSockets();
        await catchError(startWorld(parameters), ErrorType);
        await untilSocketsAre(sockets);
      });
    }

    for (const port of ["chainPort", "cloudPort"] as const) {
      it(`leaves nothing running if its ${port} is taken`, async () => {
        const sockets = openSockets();
        const other = createServer();
        await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
        const { port: taken } = other.address() as AddressInfo; // listening on TCP
        const stateFile = join(directory.path, "world.db");

        const error = await rejection(
          startWorld(port === "chainPort" ? { chainPort: taken, stateFile } : { cloud: { port: taken }, stateFile }),
        );

        expect(error).to.be.instanceOf(InvalidArgumentError);
        expect(error).to.have.nested.property("context.port", taken);
        await new Promise((resolve) => other.close(resolve));
        await untilSocketsAre(sockets);
        // Nor does the state stay locked.
        await (await startWorld({ ...fast, stateFile })).close();
      });
    }

    it("stops while CVMs are being created", async () => {
      const sockets = openSockets();
      const interruption = new AbortController();
      const started = startWorld({
        signal: interruption.signal,
        cloud: {
          rolloverMs: 60_000,
          onEvent: ({ type }) => type === "operation.started" && interruption.abort(),
        },
      });
      expect(await rejection(started)).to.have.property("name", "AbortError");
      await untilSocketsAre(sockets);
    });
  });

  describe("on a fork", () => {
    it("reads the state of the chain, deploys its own contracts, and does not change the chain", async () => {
      const upstream = await startWorld(fast);
      const world = await startWorld({ ...fast, forkUrl: upstream.chain.rpcUrl });
      try {
        const height = await upstream.chain.client.getBlockNumber();
        expect(world.contracts.kms).not.to.equal(upstream.contracts.kms);
        const { appId, composeHash } = await getCvm(upstream.cloudClient, { cvm: "onchain-app" });
        if (appId === undefined || composeHash === undefined) throw new Error("an on-chain CVM has both");
        const isAllowed = async ({ chain }: World, composeHash: ComposeHash) =>
          (await readAllowlist(chain.client, { appId, composeHash })).composeHashAllowed;
        expect(await isAllowed(world, composeHash)).to.equal(true);

        const other = parseComposeHash("0b".repeat(32));
        await addComposeHash(world.ownerClient, { appId, composeHash: other });
        expect(await isAllowed(world, other)).to.equal(true);
        expect(await isAllowed(upstream, other)).to.equal(false);
        expect(await upstream.chain.client.getBlockNumber()).to.equal(height);
      } finally {
        await world.close();
        await upstream.close();
      }
    });

    it("mines on a fork of anvil, whose empty extra data would end the process", async () => {
      const upstream = await startChain();
      const anvil = await rewriteRpc(upstream.rpcUrl, (_, result) =>
        typeof result === "object" && result !== null && "extraData" in result
          ? { ...result, extraData: "0x" }
          : result,
      );
      const world = await startWorld({ ...fast, forkUrl: anvil.url });
      try {
        expect(await getCvm(world.cloudClient, { cvm: "onchain-app" })).to.include({ status: "running" });
      } finally {
        await world.close();
        await anvil.close();
        await upstream.close();
      }
    });

    it("refuses a chain that is not Base's", async () => {
      const hash = `0x${"11".repeat(32)}`;
      const block = { number: "0x1", hash, parentHash: hash, extraData: "0x", timestamp: "0x1", transactions: [] };
      const goerli = await startServer((response, { body }) => {
        const { id, method } = JSON.parse(body);
        sendJson(response, 200, { jsonrpc: "2.0", id, result: method === "eth_chainId" ? "0x5" : block });
      });
      try {
        const error = await catchError(startWorld({ forkUrl: goerli.url }), InvalidArgumentError);
        expect(error.context).to.deep.equal({ chainId: 5 });
      } finally {
        await goerli.close();
      }
    });
  });

  describe("with a state file", () => {
    const start = (stateFile: string) => startWorld({ ...fast, stateFile });

    it("continues with cloud, chain, API key, and an update across the restart", async () => {
      const stateFile = join(directory.path, "world.db");
      const first = await start(stateFile);
      const before = await update(first, "1.29");
      const head = await first.chain.client.getBlock();
      await first.close();

      const second = await start(stateFile);
      try {
        expect(await second.chain.client.getBlock()).to.deep.equal(head);
        expect([second.apiKey, second.contracts, second.cvms]).to.deep.equal([
          first.apiKey,
          first.contracts,
          first.cvms,
        ]);
        const cvm = await getCvm(second.cloudClient, { cvm: "onchain-app" });
        expect([cvm.status, cvm.composeHash]).to.deep.equal(["running", before]);
        expect(await update(second, "1.30")).not.to.equal(before);
      } finally {
        await second.close();
      }
    });

    it("forks the same block again, although the chain has new ones", async () => {
      const upstream = await startChain();
      const stateFile = join(directory.path, "world.db");
      const first = await startWorld({ ...fast, stateFile, forkUrl: upstream.rpcUrl });
      const head = await first.chain.client.getBlock();
      await first.close();
      await upstream.client.mine({ blocks: 3 });

      const second = await startWorld({ ...fast, stateFile, forkUrl: upstream.rpcUrl });
      expect(await second.chain.client.getBlock()).to.deep.equal(head);
      await second.close();
      const error = await catchError(start(stateFile), InvalidArgumentError);
      expect(error.context).to.include({ kind: "fork" });
      await upstream.close();
    });

    it("can be used by one world at a time", async () => {
      const stateFile = join(directory.path, "world.db");
      const first = await start(stateFile);
      const error = await catchError(start(stateFile), InvalidArgumentError);
      expect(error.context).to.include({ pid: process.pid });
      expect(error.message).to.include(`process ${process.pid}`).and.include(`${stateFile}.world`);
      expect(error.nextStep).to.include(`${stateFile}.world.lock`);
      await first.close();
    });
  });
});

/** Updates the on-chain CVM to another tag and answers the new hash. */
async function update(world: World, tag: string): Promise<string | undefined> {
  const { outcome, composeHash } = await updateCvm({
    cloud: world.cloudClient,
    chain: world.ownerClient,
    ledger: memoryLedger(),
    cvm: "onchain-app",
    dockerCompose: `services:\n  web:\n    image: nginx:${tag}\n`,
    pollChainMs: 20,
    pollCloudMs: 20,
  });
  expect(outcome).to.equal("updated");
  return composeHash;
}
