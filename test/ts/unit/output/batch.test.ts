import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { createClient, http } from "viem";
import type { BatchEvent } from "../../../../src/batch/run.ts";
import { createBatchOutput } from "../../../../src/commands/write.ts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { createOutput } from "../../../../src/output/output.ts";

const calls = [
  addComposeHashCall({ appId: parseAppId("a0".repeat(20)), composeHash: parseComposeHash("c0".repeat(32)) }),
];
const transactionHash = parseTransactionHash("d0".repeat(32));
const chosen: BatchEvent = { kind: "chosen", mode: "7702", reason: "one transaction was requested" };
const transaction = { transactionHash, blockNumber: 1n, gasUsed: 1n, costWei: 1n, calls: 1, isFromRecord: false };
const mined: BatchEvent = { kind: "mined", transaction, calls };
const deployed: BatchEvent = { kind: "mined", transaction, calls: [] };

async function told(...events: readonly BatchEvent[]): Promise<number> {
  const stream = new PassThrough();
  const tell = createBatchOutput(
    { output: createOutput(stream) },
    { client: createClient({ transport: http("http://x") }) },
  );
  for (const event of events) tell(event);
  stream.end();
  return (await text(stream)).split("undo-delegation").length - 1;
}

describe("the lines about a delegation", () => {
  it("are printed once, when the delegation is in force", async () => {
    expect(await told(chosen)).to.equal(0);
    expect(await told(chosen, deployed)).to.equal(0);
    expect(await told(chosen, deployed, mined, mined)).to.equal(1);
    expect(await told({ ...chosen, mode: "none" }, mined)).to.equal(0);
  });
});
