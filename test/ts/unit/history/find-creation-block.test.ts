import { expect } from "chai";
import { createClient, custom } from "viem";
import { parseAppId } from "../../../../src/core/ids.ts";
import { NoContractError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { findCreationBlock } from "../../../../src/history/creation.ts";
import { rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

const appId = parseAppId("a0".repeat(20));
const missing = () => rpcError(-32000, "missing trie node");

/** Looks on a chain of 101 blocks whose node answers `codeAt`, with the number of earlier requests for that block. */
function find(codeAt: (block: number, time: number) => string) {
  const times = new Map<number, number>();
  const request = async ({ params }: { params?: unknown[] }) => {
    const block = Number(params?.[1]);
    times.set(block, (times.get(block) ?? 0) + 1);
    return codeAt(block, times.get(block) ?? 0);
  };
  const client = createClient({ transport: custom({ request }) });
  return findCreationBlock(client, { appId, toBlock: 100n, retryDelayMs: 0.01 });
}

/** An app that is there from this block on. */
const since = (creation: number) => (block: number) => (block >= creation ? "0xfe" : "0x");
function fail(error: Error): never {
  throw error;
}

describe("findCreationBlock", () => {
  it("finds the first block with code, wherever it is", async () => {
    for (const creation of [0, 1, 2, 37, 50, 51, 99, 100])
      expect(await find(since(creation)), `${creation}`).to.deep.equal({ block: BigInt(creation), isFirst: true });
  });

  it("reports the block as uncertain when the endpoint has no older state", async () => {
    for (const oldest of [1, 13, 50, 100])
      expect(await find((block) => (block < oldest ? fail(missing()) : "0xfe")), `${oldest}`).to.deep.equal({
        block: BigInt(oldest),
        isFirst: false,
      });
    expect(await find(() => fail(missing()))).to.deep.equal({ block: 100n, isFirst: false });
  });

  it("asks once for state that the endpoint says it dropped", async () => {
    const times: number[] = [];
    const codeAt = (block: number, time: number) => {
      times.push(time);
      return block < 60 ? fail(rpcError(4444, "pruned history unavailable")) : "0xfe";
    };
    expect(await find(codeAt)).to.deep.equal({ block: 60n, isFirst: false });
    expect(Math.max(...times)).to.equal(1);
  });

  it("finds no app when the address has no code", async () => {
    expect(await rejection(find(since(101)))).to.be.instanceOf(NoContractError);
  });

  it("does not use a temporary fault as an answer", async () => {
    for (const fault of [missing, () => rpcError(429, "too many requests"), () => new Error("fetch failed")])
      expect(await find((block, time) => (time < 3 ? fail(fault()) : since(37)(block)))).to.deep.equal({
        block: 37n,
        isFirst: true,
      });
    expect(await rejection(find(() => fail(rpcError(429, "too many requests"))))).to.be.instanceOf(RpcUnavailableError);
  });
});
