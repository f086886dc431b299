import { expect } from "chai";
import { parseSending, type SendingArguments } from "../../../../src/commands/sending.ts";
import { DstackError } from "../../../../src/errors/index.ts";

const none = { finality: undefined };

describe("the options of tasks that send", () => {
  it("name prices in gwei, a stage and a transaction", () => {
    const transactionHash = `0x${"AB".repeat(32)}`;
    expect(
      parseSending(
        { maxFee: " 1.5", priorityFee: "0.000000001", replace: "10000", until: "safe", transactionHash },
        { finality: "latest" },
      ),
    ).to.deep.equal({
      ...{ maxFeePerGas: 1_500_000_000n, maxPriorityFeePerGas: 1n, replaceUpTo: 10_000_000_000_000n },
      ...{ until: "safe", transactionHash: transactionHash.toLowerCase() },
    });
    expect(parseSending({}, { finality: "finalized" }).until).to.equal("finalized");
    expect(parseSending({}, none).until).to.equal(undefined);
  });

  for (const [problem, args] of [
    ["--max-fee must be a price in gwei", { maxFee: "-1" }],
    ["--max-fee must be a price in gwei", { maxFee: "1e3" }],
    ["--max-fee must be a price in gwei", { maxFee: "" }],
    ["--max-fee must be a price in gwei", { maxFee: "2500000000" }], // wei
    ["--priority-fee must be a price in gwei", { priorityFee: "0.0000000001" }],
    ["--replace must be a price in gwei", { replace: "yes" }],
    ["The priority fee, 3 gwei, is above the highest fee per gas, 2 gwei", { maxFee: "2", priorityFee: "3" }],
    ["--until must be latest, safe, finalized", { until: "confirmed" }],
    ["A transaction hash", { transactionHash: "0x12" }],
  ] as const satisfies readonly (readonly [string, SendingArguments])[])
    it(`refuse ${JSON.stringify(args)}`, () => {
      expect(() => parseSending(args, none))
        .to.throw(DstackError)
        .with.property("message")
        .that.includes(problem);
    });
});
