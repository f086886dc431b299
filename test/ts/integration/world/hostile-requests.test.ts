import { expect } from "chai";
import { privateKeyToAccount } from "viem/accounts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { l1BlockAddress } from "../../../../src/world/chain/predeploys.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { rawRequests, sendRaw } from "../../../support/hostile/raw-requests.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";

interface Answer {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

// A request that ends the process ends this test run with it; an unhandled rejection fails it.
describe("a world survives", function () {
  this.timeout(60_000);
  let world: World;
  let internalErrors: string[];

  before(async () => {
    internalErrors = [];
    world = await startWorld({
      cvms: false,
      cloud: {
        deviceLogin: true,
        onEvent: (event) => event.type === "internal-error" && internalErrors.push(event.message),
      },
    });
  });
  after(() => world.close());
  afterEach(async () => {
    expect((await post<Answer>({ id: 1, method: "eth_chainId" })).result).to.equal("0x2105");
    const reply = await world.cloudClient.request({ method: "GET", path: "/auth/me" });
    expect(reply.status).to.equal(200);
  });

  const post = <Shape>(body: unknown) => postRpc<Shape>(world.chain.rpcUrl, body);

  it("requests of invalid bytes, and clients that hang up at any moment", async () => {
    const { rpcUrl } = world.chain;
    const { url } = world.cloud;
    const targets = [
      [rpcUrl, "/"],
      [url, "/api/v1/cvms/provision"],
      [url, "/api/v1/auth/device/code"],
      [url, "/commit/x?token=y"],
    ] as const;
    const thrown = targets.flatMap(([target, path]) =>
      rawRequests(path, new URL(target).host).flatMap((bytes) =>
        [0, 10, 1500].map(async (hangUpAfterMs) => ({ path, answer: await sendRaw(target, bytes, hangUpAfterMs) })),
      ),
    );
    expect(thrown).to.have.length.greaterThan(1000);
    for (const { path, answer } of await Promise.all(thrown)) {
      expect(answer, path).to.not.match(/^HTTP\/1\.1 5\d\d/m);
      expect(answer, path).to.not.match(/\bat .+\.[jt]s:\d+/);
    }
    expect(internalErrors).to.deep.equal([]);
  });

  it("an id that cannot be encoded, a batch above the limit and a body above 8 MiB", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    expect(await post<Answer>(`{"id":${deep},"method":"eth_chainId"}`)).to.include({ id: null, result: "0x2105" });
    const level = (count: number) => `${"[".repeat(count)}${"]".repeat(count)}`;
    for (const params of [`[${deep}]`, level(65)]) {
      const { error } = await post<Answer>(`{"id":1,"method":"evm_mine","params":${params}}`);
      expect(error).to.include({ code: -32602, message: "The parameters of a call have at most 64 levels." });
    }
    const { error } = await post<Answer>(`{"id":1,"method":"evm_mine","params":${level(64)}}`);
    expect(error?.message).to.not.include("levels");
    const calls = (count: number) => Array(count).fill({ id: 1, method: "eth_chainId" });
    expect((await post<Answer>(calls(40_000))).error).to.include({ code: -32600 });
    expect((await post<Answer>(calls(1001))).error?.message).to.include("at most 1000 calls");
    expect(await post<Answer[]>(calls(1000))).to.have.lengthOf(1000);
    const headers = { "Content-Type": "application/json" };
    const large = await fetch(world.chain.rpcUrl, { method: "POST", headers, body: " ".repeat(8 * 1024 * 1024 + 1) });
    expect(large.status).to.equal(413);
  });

  it("answers that are too large together", async () => {
    const { address } = devAccount(0);
    await post({ id: 1, method: "hardhat_setCode", params: [`0x${"c0de".repeat(10)}`, `0x${"fe".repeat(24_000)}`] });
    const call = { id: 7, method: "eth_getCode", params: [`0x${"c0de".repeat(10)}`, "latest"] };
    const answers = await post<Answer[]>([
      ...Array(999).fill(call),
      { id: 8, method: "eth_getBalance", params: [address] },
    ]);
    expect(answers).to.have.lengthOf(1000);
    expect(answers[0]?.result).to.have.lengthOf(48_002);
    expect(answers.at(-1)).to.have.nested.property("error.code", -32003);
    expect(answers.at(-1)?.id).to.equal(8);
  });

  it("times, amounts and blocks that make EDR abort", async () => {
    const from = devAccount(0).address;
    const huge = `0x${"f".repeat(64)}`;
    const raw = await privateKeyToAccount(devPrivateKey(0)).signTransaction({
      chainId: 8453,
      value: 2n ** 256n - 1n,
      gas: 21_000n,
      maxFeePerGas: 2n ** 40n,
      to: from,
    });
    for (const [method, params] of [
      ["evm_increaseTime", ["0xffffffffffffffff"]],
      ["evm_increaseTime", [2 ** 63]],
      ["evm_setNextBlockTimestamp", ["0xffffffffffffffff"]],
      ["evm_setNextBlockTimestamp", ["9".repeat(19)]],
      ["evm_mine", ["0xffffffffffffffff"]],
      ["hardhat_mine", ["0x2", "0xffffffffffffffff"]],
      ["hardhat_mine", ["0xffffffffffffffff"]],
      ["eth_call", [{ from, to: from, value: huge, gasPrice: "0xffffffffff" }]],
      ["eth_call", [{ from, to: from, value: huge }]],
      ["eth_call", [{ from, to: from, maxFeePerGas: huge, maxPriorityFeePerGas: huge }]],
      ["eth_estimateGas", [{ from, to: from, value: huge }]],
      ["debug_traceCall", [{ from, to: from, value: huge }, "latest"]],
      ["eth_sendTransaction", [{ from, to: from, value: huge }]],
      ["eth_sendRawTransaction", [raw]],
      ...["eth_call", "eth_estimateGas", "eth_sendTransaction"].flatMap((method) => [
        [method, [{ from, to: from, gas: "0x1000000", gasPrice: `0x${(2n ** 105n).toString(16)}` }]] as const,
        [method, [{ from, to: from, maxFeePerGas: `0x${(2n ** 105n).toString(16)}` }]] as const,
        [method, [{ from, to: from, value: "0xff_ff" }]] as const,
      ]),
      ["eth_call", [{ from, to: from }, "latest", { [l1BlockAddress]: { stateDiff: { [huge]: huge } } }]],
      ["hardhat_setNextBlockBaseFeePerGas", ["0x10000000000000000"]],
      ...["0x1", "0x5", "0x6", "0x7"].map((slot) => ["hardhat_setStorageAt", [l1BlockAddress, slot, huge]] as const),
    ] as const) {
      const { error } = await post<Answer>({ id: 1, method, params });
      expect(error?.message, `${method} ${JSON.stringify(params)}`).to.match(/^[A-Za-z].* (?:has|is|are) .*\.$/);
    }
    const endless = { from, data: "0x5b600056", gas: "0x3938700" };
    expect((await post<Answer>({ id: 1, method: "eth_call", params: [endless] })).error?.message).to.include("cap");
  });

  it("the highest scalars of a rollup's fees, which share a slot", async () => {
    const [from, huge] = [devAccount(0).address, `0x${"f".repeat(64)}`];
    const id = await world.snapshot();
    for (const slot of ["0x3", "0x8"]) {
      const params = [l1BlockAddress, slot, huge];
      expect(await post<Answer>({ id: 1, method: "hardhat_setStorageAt", params })).to.have.property("result", true);
    }
    const { result } = await post<Answer>({ id: 1, method: "eth_sendTransaction", params: [{ from, to: from }] });
    const receipt = await post<Answer>({ id: 1, method: "eth_getTransactionReceipt", params: [result] });
    expect(receipt.result).to.include({ operatorFeeScalar: "0xffffffff", operatorFeeConstant: "0xffffffffffffffff" });
    await world.restore(id);
  });

  it("a range of logs without end", async () => {
    for (const method of ["eth_getLogs", "eth_newFilter"]) {
      for (const range of [
        { fromBlock: "0x0", toBlock: "0xffffffffffffffff" },
        { fromBlock: "0xfffffffffffffff0" },
        { toBlock: "0x20000000" },
        { toBlock: { blockNumber: "0x20000000" } },
        { toBlock: ["latest"] },
        { toBlock: "0x000000000000000020000000" },
      ]) {
        const { error } = await post<Answer>({ id: 1, method, params: [range] });
        expect(error, `${method} ${JSON.stringify(range)}`).to.include({ code: -32602 });
      }
      for (const range of [{}, { fromBlock: "earliest", toBlock: "latest" }, { fromBlock: "0x0", toBlock: "0x100" }]) {
        expect(await post<Answer>({ id: 1, method, params: [range] })).to.have.property("result");
      }
    }
  });

  it("numbers with two readings", async () => {
    for (const count of [" 2", "0o2", "2", ["0x2"], 1.5, -1, true, "0x", "", {}]) {
      for (const [method, params] of [
        ["hardhat_mine", [count]],
        ["hardhat_mine", ["0x1", count]],
        ["evm_increaseTime", [count]],
      ] as const) {
        const { error } = await post<Answer>({ id: 1, method, params });
        expect(error, `${method} ${JSON.stringify(params)}`).to.include({ code: -32602 });
      }
    }
    const before = await world.chain.client.getBlockNumber();
    for (const params of [[], [null], ["0x2", 3], [9, null]]) {
      expect(await post<Answer>({ id: 1, method: "hardhat_mine", params })).to.have.property("result", true);
    }
    expect(await world.chain.client.getBlockNumber({ cacheTime: 0 })).to.equal(before + 13n);
  });

  it("printing and tracing", async () => {
    for (const method of ["hardhat_setLoggingEnabled", "debug_traceCall"]) {
      const { error } = await post<Answer>({ id: 1, method, params: [true] });
      expect(error?.message).to.include(`${method} is not supported`);
    }
  });
});
