import { expect } from "chai";
import { createClient, custom } from "viem";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import { readBlock } from "../../../../src/history/blocks.ts";
import { rejection } from "../../../support/rejection.ts";

const block = { number: "0x7", hash: `0x${"AB".repeat(32)}`, timestamp: "0x64" };

/** Asks an endpoint that gives these answers, and the last one from then on. */
function read(answers: readonly unknown[], asked: bigint | "latest" = 7n) {
  let requests = 0;
  const request = async () => answers[Math.min(requests++, answers.length - 1)];
  return readBlock(createClient({ transport: custom({ request }) }), asked, { retryDelayMs: 0.01 });
}

describe("readBlock", () => {
  it("gives number, hash and time, in lower case", async () => {
    expect(await read([block])).to.deep.equal({ number: 7n, hash: `0x${"ab".repeat(32)}`, timestamp: 100n });
  });

  it("reports a block as missing only after a second answer", async () => {
    expect(await read([null, null, block])).to.include({ number: 7n });
    expect(await read([null])).to.equal(undefined);
  });

  it("never reports the latest block as missing", async () => {
    expect(await rejection(read([null], "latest"))).to.be.instanceOf(RpcUnavailableError);
    expect(await read([null, null, null, block], "latest")).to.include({ number: 7n });
  });

  it("refuses an answer that is not a block", async () => {
    for (const answer of [{}, "0x7", { ...block, hash: null }, { ...block, timestamp: 100 }])
      expect(await rejection(read([answer]))).to.be.instanceOf(RpcUnavailableError);
  });
});
