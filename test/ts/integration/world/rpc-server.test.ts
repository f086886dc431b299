import { once } from "node:events";
import { connect } from "node:net";
import { expect } from "chai";
import { encodeFunctionData, parseAbi } from "viem";
import { createOwnerClient, devAccount } from "../../../../src/world/chain/client.ts";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { deployContracts } from "../../../../src/world/contracts.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";
import { isListening } from "../../../support/world/sockets.ts";

interface Answer {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

describe("the RPC of a local chain", () => {
  let chain: LocalChain;

  before(async () => {
    chain = await startChain();
  });
  after(() => chain.close());

  const post = <Shape = Answer>(body: unknown) => postRpc<Shape>(chain.rpcUrl, body);

  it("has Base's chain id, Multicall3 and funded accounts", async () => {
    expect(await chain.client.getChainId()).to.equal(8453);
    expect(await chain.client.getBalance({ address: devAccount(0).address })).to.equal(10_000n * 10n ** 18n);
    const blockNumbers = await chain.client.multicall({
      contracts: [
        {
          address: "0xcA11bde05977b3631167028862bE2a173976CA11",
          abi: parseAbi(["function getBlockNumber() view returns (uint256)"]),
          functionName: "getBlockNumber",
        },
      ],
    });
    expect(blockNumbers).to.have.nested.property("[0].status", "success");
  });

  it("answers batches in order, each call separately", async () => {
    const answers = await post<Answer[]>([
      { jsonrpc: "2.0", id: "one", method: "eth_chainId" },
      { jsonrpc: "2.0", id: 2, method: "no_such_method", params: [] },
      { jsonrpc: "2.0", id: 3, method: "eth_chainId", params: [] },
      7,
    ]);

    expect(answers.map(({ id, result, error }) => [id, result, error?.code])).to.deep.equal([
      ["one", "0x2105", undefined],
      [2, undefined, -32004],
      [3, "0x2105", undefined],
      [null, undefined, -32600],
    ]);
  });

  for (const [what, body, code] of [
    ["text that is not JSON", "{", -32700],
    ["an empty batch", [], -32600],
    ["a call without a method", { id: 1 }, -32600],
    ["named parameters", { id: 1, method: "eth_chainId", params: { a: 1 } }, -32600],
  ] as const) {
    it(`refuses ${what}`, async () => {
      expect((await post(body)).error?.code).to.equal(code);
    });
  }

  it("returns the bytes of a revert where client libraries read them", async () => {
    const owner = createOwnerClient({ rpcUrl: chain.rpcUrl, chain: chain.client.chain, owner: devAccount(0) });
    const { kms } = await deployContracts(owner);
    const data = encodeFunctionData({ abi: parseAbi(["function renounceOwnership()"]) });
    const stranger = devAccount(1).address;

    const { error } = await post({ id: 1, method: "eth_call", params: [{ from: stranger, to: kms, data }, "latest"] });

    // OwnableUnauthorizedAccount(address)
    expect(error).to.include({
      code: 3,
      data: `0x118cdaa7${stranger.slice(2).toLowerCase().padStart(64, "0")}`,
    });
  });

  it("mines a transaction that reverts and returns its hash, as a real chain does", async () => {
    const owner = createOwnerClient({ rpcUrl: chain.rpcUrl, chain: chain.client.chain, owner: devAccount(0) });
    const { kms } = await deployContracts(owner);
    const call = { from: devAccount(1).address, to: kms, data: "0x715018a6", gas: "0x30d40" };

    const { result } = await post({ id: 1, method: "eth_sendTransaction", params: [call] });

    const receipt = await chain.client.getTransactionReceipt({ hash: result as `0x${string}` });
    expect(receipt.status).to.equal("reverted");
  });

  it("mines numbers of blocks that would make EDR end the process", async () => {
    const before = await chain.client.getBlock();

    await chain.client.mine({ blocks: 20, interval: 10 });

    const after = await chain.client.getBlock();
    expect(after.number - before.number).to.equal(20n);
    expect(after.timestamp - before.timestamp >= 190n).to.equal(true);
    const [last, oneBefore] = await Promise.all([
      chain.client.getBlock({ blockNumber: after.number }),
      chain.client.getBlock({ blockNumber: after.number - 7n }),
    ]);
    expect(last.timestamp - oneBefore.timestamp).to.equal(70n);
  });

  it("shows its own address", async () => {
    const options = await fetch(chain.rpcUrl, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).to.deep.equal([204, "POST, OPTIONS"]);
    expect(options.headers.get("access-control-allow-origin")).to.equal(null);
    expect((await fetch(chain.rpcUrl)).status).to.equal(405);
  });

  it("closes while clients keep connections open", async () => {
    const short = await startChain();
    const socket = connect(Number(new URL(short.rpcUrl).port), "127.0.0.1");
    await once(socket, "connect");
    const ended = once(socket, "close");

    await short.close();

    await ended;
    expect(await isListening(short.rpcUrl)).to.equal(false);
  });
});
