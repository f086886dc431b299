import { inspect } from "node:util";
import { expect } from "chai";
import { type Hex, http, RpcRequestError } from "viem";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { systemClock } from "../../../../src/mock-cloud/clock.ts";
import { Faults } from "../../../../src/mock-cloud/faults/faults.ts";
import { KmsRuntime } from "../../../../src/mock-cloud/services/kms.ts";
import { contractFault } from "../../../../src/mock-cloud/verification/generation.ts";
import { type FaultServer, startFaultServer } from "../../../support/chain/fault-server.ts";
import { rejection } from "../../../support/rejection.ts";

// Errors of the backend's chain reach events, operations and answers of the API as text.
describe("the backend's RPC endpoint", () => {
  const kms: Hex = `0x${"c5".repeat(20)}`;
  const secrets = ["hunter2!pa", "k3y", "dXNlcjpwdzk", "pw9"];
  let endpoint: FaultServer;
  let status = 200;
  let code = -32000;
  let drip = false;
  const drips: NodeJS.Timeout[] = [];

  before(async () => {
    endpoint = await startFaultServer((request, response) => {
      request.resume();
      response.writeHead(status, { "content-type": "application/json" });
      if (drip) return void drips.push(setInterval(() => response.write(" "), 5));
      const { authorization, "x-token": token } = request.headers;
      const message = `execution failed: out of gas for ${authorization} ${token} ${request.url} pw9`;
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 0, error: { code, message } }));
    });
  });
  afterEach(() => {
    for (const one of drips.splice(0)) clearInterval(one);
    [status, code, drip] = [200, -32000, false];
  });
  after(() => endpoint.close());

  const clients = (rpcTimeoutMs?: number) => {
    const url = `http://user:pw9@127.0.0.1:${endpoint.port}/k3y`;
    const transport = http(url, { retryCount: 0, fetchOptions: { headers: { "X-Token": "hunter2!pa" } } });
    return [url, transport].map((rpc) => {
      const { signal } = new AbortController();
      const runtime = new KmsRuntime({ faults: new Faults(() => {}), clock: systemClock, signal }, rpcTimeoutMs);
      runtime.connect("kms", { slug: "kms", chainId: 8453, contractAddress: kms, rpc });
      return runtime.chain("kms") ?? expect.fail();
    });
  };

  it("hides the content of requests in errors, which still name the fault", async () => {
    for (const [answers, kind] of [
      [200, -32000],
      [200, -32603],
      [500, -32000],
      [401, "x"],
    ] as const) {
      status = answers;
      code = kind as number;
      for (const client of clients()) {
        const error = await rejection(client.getChainId());
        for (const secret of secrets) {
          expect(String(error), secret).to.not.include(secret);
          expect(inspect(error, { depth: 10, showHidden: true }), secret).to.not.include(secret);
        }
        expect(String(error)).to.include("out of gas for Basic [hidden]");
      }
    }
  });

  it("keeps the classes of errors, which tell a contract's answer from an outage", async () => {
    for (const client of clients()) {
      const read = { address: kms, abi: dstackAppAbi, functionName: "allowAnyDevice" } as const;
      const error = await rejection(client.readContract(read));
      expect(contractFault(error)).to.be.a("string").that.includes("out of gas").and.includes("[hidden]");
      expect(
        (error as Error & { walk(find: (one: unknown) => boolean): unknown }).walk(
          (one) => one instanceof RpcRequestError,
        ),
      ).to.be.instanceOf(RpcRequestError);
    }
  });

  it("is given up when its answer never ends", async () => {
    drip = true;
    const [client = expect.fail()] = clients(100);
    const start = performance.now();
    expect(await rejection(client.getChainId())).to.have.nested.property("cause.name", "TimeoutError");
    expect(performance.now() - start).to.be.greaterThan(90);
  });
});
