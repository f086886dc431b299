import { join } from "node:path";
import { expect } from "chai";
import { type Hex, numberToHex } from "viem";
import { prepareTransactionRequest } from "viem/actions";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { updateCvm } from "../../../../src/update/update-cvm.ts";
import { startChain } from "../../../../src/world/chain/start-chain.ts";
import { type StartWorldParameters, startWorld, type World } from "../../../../src/world/start-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";

const cloud = { rolloverMs: 0 };
/** No chain has it. */
const ownId = 845_300_001;

async function withWorld(parameters: StartWorldParameters, use: (world: World) => Promise<void>): Promise<void> {
  const world = await startWorld({ cloud, ...parameters });
  try {
    await use(world);
  } finally {
    await world.close();
  }
}

/** A whole update, on the chain that the caller names. */
async function update(world: World, chainId: number) {
  const { outcome } = await updateCvm({
    ...{ cloud: world.cloudClient, chain: world.ownerClient, ledger: memoryLedger(), chainId },
    ...{ cvm: "onchain-app", dockerCompose: "services:\n  web:\n    image: nginx:1.29\n" },
    ...{ pollChainMs: 10, pollCloudMs: 10 },
  });
  return outcome;
}

async function receiptOfLatest({ chain }: World): Promise<Record<string, unknown>> {
  const { transactions } = await chain.client.getBlock();
  const call = { id: 1, method: "eth_getTransactionReceipt", params: transactions };
  return (await postRpc<{ result: Record<string, unknown> }>(chain.rpcUrl, call)).result;
}

describe("the chain id of a world", () => {
  const directory = useTemporaryDirectory();

  it("can be one that no chain has, for chain, cloud and update", () =>
    withWorld({ chainId: ownId }, async (world) => {
      expect([world.chain.id, await world.chain.client.getChainId()]).to.deep.equal([ownId, ownId]);
      expect(await getCvm(world.cloudClient, { cvm: "onchain-app" })).to.include({ chainId: ownId, status: "running" });
      expect(await update(world, ownId)).to.equal("updated");
      // Base's rules: the L1 data fee is in the receipt.
      expect(await receiptOfLatest(world)).to.include.keys("l1Fee");
    }));

  it("makes a signature for Base worthless, and one for this chain worthless on Base", async () => {
    const elsewhere = await startChain();
    try {
      await withWorld({ chainId: ownId, cvms: false }, async ({ ownerClient, chain }) => {
        const { account } = ownerClient;
        const request = await prepareTransactionRequest(ownerClient, { to: account.address, value: 1n });
        const { nonce, gas, maxFeePerGas, maxPriorityFeePerGas } = request;
        const fields = { to: account.address, value: 1n, nonce, gas, maxFeePerGas, maxPriorityFeePerGas };
        const sign = (chainId: number) => account.signTransaction({ ...fields, type: "eip1559", chainId });
        const send = (url: string, raw: Hex) =>
          postRpc<object>(url, { id: 1, method: "eth_sendRawTransaction", params: [raw] });
        const [forBase, forHere] = [await sign(8453), await sign(ownId)];
        expect(await send(chain.rpcUrl, forBase))
          .to.have.nested.property("error.message")
          .that.matches(/chain ?id/i);
        expect(await send(elsewhere.rpcUrl, forHere))
          .to.have.nested.property("error.message")
          .that.matches(/chain ?id/i);
        expect(await send(chain.rpcUrl, forHere)).to.have.property("result");
      });
    } finally {
      await elsewhere.close();
    }
  });

  it("gives the chain Ethereum's rules if it is Ethereum's", () =>
    withWorld({ chainId: 1 }, async (world) => {
      const reply = await world.cloudClient.request({ method: "GET", path: "/kms/kms-ethereum-1" });
      expect(JSON.stringify(reply)).to.include("kms-ethereum-1").and.include(world.contracts.kms.slice(2));
      expect(await getCvm(world.cloudClient, { cvm: "onchain-app" })).to.include({ chainId: 1, status: "running" });
      expect(await update(world, 1)).to.equal("updated");
      expect(await receiptOfLatest(world)).to.have.property("status", "0x1");
      expect(await receiptOfLatest(world)).to.not.have.any.keys("l1Fee", "l1GasUsed");
    }));

  for (const [what, chainId] of [
    ["Base", 8453],
    ["Ethereum", 1],
  ] as const) {
    it(`is ${what}'s in a fork of ${what}, or one of its own`, () =>
      withWorld({ chainId }, async (upstream) => {
        const forkUrl = upstream.chain.rpcUrl;
        const cvm = await getCvm(upstream.cloudClient, { cvm: "onchain-app" });
        if (cvm.appId === undefined || cvm.composeHash === undefined) throw new Error("an on-chain CVM has both");
        const { appId, composeHash } = cvm;
        for (const id of [undefined, ownId]) {
          await withWorld({ forkUrl, chainId: id, safeLagSeconds: 3600 }, async (world) => {
            expect(await world.chain.client.getChainId()).to.equal(id ?? chainId);
            const { composeHashAllowed } = await readAllowlist(world.chain.client, { appId, composeHash });
            expect(composeHashAllowed).to.equal(true);
            expect(await update(world, id ?? chainId)).to.equal("updated");
            // The tags go back into the forked chain's blocks.
            const call = { id: 1, method: "eth_getBlockByNumber", params: ["safe", false] };
            expect(await postRpc(world.chain.rpcUrl, call)).to.have.nested.property("result.number", numberToHex(0));
          });
        }
      }));
  }

  it("is kept by a state file, and cannot change", async () => {
    const stateFile = join(directory.path, "world.db");
    await withWorld({ stateFile, chainId: ownId }, async (world) => {
      expect(await update(world, ownId)).to.equal("updated");
    });
    await withWorld({ stateFile, chainId: ownId }, async (world) => {
      expect(await world.chain.client.getChainId()).to.equal(ownId);
    });
    const error = await catchError(startWorld({ stateFile }), InvalidArgumentError);
    expect(error.message).to.include(`chain id ${ownId}`);
  });
});
