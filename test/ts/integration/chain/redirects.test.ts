import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { privateKeyToAccount } from "viem/accounts";
import { getChainId, sendRawTransaction } from "viem/actions";
import { base } from "viem/chains";
import { withRpcErrors } from "../../../../src/chain/rpc-errors.ts";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import { connectChain } from "../../../../src/hardhat/connect.ts";
import dstack from "../../../../src/hardhat/index.ts";
import { systemClock } from "../../../../src/mock-cloud/clock.ts";
import { Faults } from "../../../../src/mock-cloud/faults/faults.ts";
import { KmsRuntime } from "../../../../src/mock-cloud/services/kms.ts";
import { createLocalChainClient, createOwnerClient, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { findForkPoint } from "../../../../src/world/chain/start-chain.ts";
import { findExistingChain } from "../../../../src/world/existing-chain.ts";
import { type FaultServer, startFaultServer } from "../../../support/chain/fault-server.ts";
import { rejection } from "../../../support/rejection.ts";

const apiKey = "Zk3vQ8tR1xW5yB7nM2pL9sD4";
const kms = `0x${"c5".repeat(20)}`;

// The endpoint answers each request with a redirect to another server, which would answer it.
describe("an endpoint that redirects", () => {
  let endpoint: FaultServer;
  let target: FaultServer;
  let url: string;
  let status = 307;
  let location = "";
  let body = "";
  /** Headers and bodies that the other server received. */
  let stolen: string[];

  before(async () => {
    target = await startFaultServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      stolen.push(JSON.stringify([request.url, request.headers, Buffer.concat(chunks).toString()]));
      response.writeHead(200, { "content-type": "application/json" });
      response.end('{"jsonrpc":"2.0","id":0,"result":"0x2105"}');
    });
    endpoint = await startFaultServer((request, response) => {
      request.resume();
      response.writeHead(status, { location, "content-type": "application/json" }).end(body);
    });
    url = `http://user:${apiKey}@127.0.0.1:${endpoint.port}/v2/${apiKey}`;
  });
  beforeEach(() => {
    stolen = [];
    status = 307;
    location = `http://127.0.0.1:${target.port}/collect/${apiKey}?key=${apiKey}`;
    body = "";
  });
  after(() => Promise.all([endpoint?.close(), target?.close()]));

  const hre = async () =>
    createHardhatRuntimeEnvironment(
      { plugins: [dstack], networks: { live: { type: "http", url, httpHeaders: { "x-api-key": apiKey } } } },
      { network: "live" },
    );
  const owner = privateKeyToAccount(devPrivateKey(0));
  const faults = { faults: new Faults(() => {}), clock: systemClock, signal: new AbortController().signal };
  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    "a task": async () => connectChain(await hre()),
    "the owner's client of a world": () => {
      const client = createOwnerClient({ rpcUrl: url, chain: base, owner });
      return withRpcErrors(client, "sending", () => sendRawTransaction(client, { serializedTransaction: "0x02" }));
    },
    "a world's own client": () => {
      const client = createLocalChainClient(url, base);
      return withRpcErrors(client, "asking", () => getChainId(client));
    },
    "a world on a chain that runs elsewhere": () => findExistingChain({ rpcUrl: url, kms }),
    "a world that is to be forked": () => findForkPoint({ url }),
  };
  for (const [who, ask] of Object.entries(ways))
    for (const code of [301, 302, 303, 307, 308])
      it(`is not followed by ${who} (${code}), and the error names its target`, async () => {
        status = code;
        const error = await rejection(ask());
        expect(error).to.be.instanceOf(RpcUnavailableError);
        expect((error as Error).message)
          .to.include(`(HTTP ${code}, a redirect to http://127.0.0.1:${target.port}, which is not followed)`)
          .and.to.not.include(apiKey);
        expect(stolen).to.deep.equal([]);
      });

  it("is not followed by the mock cloud's view of the chain", async () => {
    const runtime = new KmsRuntime(faults);
    runtime.connect("kms", { slug: "kms", chainId: 8453, contractAddress: kms, rpc: url });
    await rejection(runtime.chain("kms")?.getChainId() ?? expect.fail());
    expect(stolen).to.deep.equal([]);
  });

  it("is reported with any body, and without a valid target", async () => {
    for (const [words, points, text] of [
      ["a redirect, which", "http://[", "<html>"],
      ["a redirect, which", "javascript:0", '{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"all is well"}}'],
      [`a redirect to http://127.0.0.1:${endpoint.port}, which`, "/elsewhere", '{"result":"0x2105"}'],
    ] as const) {
      [location, body] = [points, text];
      const error = await rejection(connectChain(await hre()));
      expect((error as Error).message).to.include(`(HTTP 307, ${words} is not followed)`);
    }
  });
});
