import { expect } from "chai";
import { createPublicClient, encodeErrorResult, http } from "viem";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { contractFault } from "../../../../src/mock-cloud/verification/generation.ts";
import { serveRpc } from "../../../support/mock-cloud/rpc-server.ts";
import { rejection } from "../../../support/rejection.ts";

interface NodeError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** The error of the backend when its node answers a read of an app with this error. */
async function faultOf(error: NodeError): Promise<string | undefined> {
  const server = await serveRpc({ request: () => Promise.reject(error) });
  try {
    const client = createPublicClient({ transport: http(server.url, { retryCount: 0 }) });
    const reading = client.readContract({
      address: `0x${"11".repeat(20)}`,
      abi: dstackAppAbi,
      functionName: "allowAnyDevice",
    });
    return contractFault(await rejection(reading));
  } finally {
    await server.close();
  }
}

const nope = encodeErrorResult({
  abi: [{ type: "error", name: "Error", inputs: [{ type: "string" }] }],
  args: ["nope"],
});

describe("contractFault", () => {
  const outages: readonly NodeError[] = [
    { code: -32603, message: "Internal error" },
    { code: -32603, message: "upstream is down", data: { requestId: "7" } },
    { code: -32603, message: "header not found" },
    { code: -32000, message: "missing trie node" },
    { code: -32005, message: "limit exceeded" },
  ];
  for (const error of outages) {
    it(`classifies ${error.code}, ${error.message}, as an outage`, async () => {
      expect(await faultOf(error)).to.equal(undefined);
    });
  }

  const refusals: readonly [error: NodeError, says: RegExp][] = [
    [{ code: 3, message: "execution reverted: nope", data: nope }, /nope/],
    [{ code: 3, message: "execution failed" }, /reverted/],
    [{ code: -32603, message: "call failed", data: nope }, /nope/],
    [{ code: -32603, message: "VM Exception while processing transaction: revert nope" }, /nope/],
    [{ code: -32603, message: "out of gas" }, /out of gas/],
    [{ code: -32000, message: "out of gas" }, /out of gas/],
    [{ code: -32015, message: "invalid opcode: INVALID" }, /invalid opcode/],
  ];
  for (const [error, says] of refusals) {
    it(`classifies ${error.code}, ${error.message}${error.data ? ", with data" : ""}, as a fault of the contract`, async () => {
      expect(await faultOf(error)).to.match(says);
    });
  }
});
