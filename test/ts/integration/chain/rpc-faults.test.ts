import { inspect } from "node:util";
import { expect } from "chai";
import { createClient, fallback, http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { ethCall } from "../../../../src/chain/calls.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readAllowlist, readAppSettings, readOwnership } from "../../../../src/chain/read-app.ts";
import { readBootVerdict } from "../../../../src/chain/read-boot.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseAppId, parseComposeHash, parseDeviceId, parseTransactionHash } from "../../../../src/core/ids.ts";
import { isDstackError, ReceiptTimeoutError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { closedPort, startFaultServer } from "../../../support/chain/fault-server.ts";
import { rejection } from "../../../support/rejection.ts";

const appId = parseAppId("a1".repeat(20));
const composeHash = parseComposeHash("c0".repeat(32));
const word = `0x${"00".repeat(32)}` as const;
const account = privateKeyToAccount(generatePrivateKey());
const apiKey = "Zk3vQ8tR1xW5yB7nM2pL9sD4";
const password = "hunter2";

function clientAt(port: number, timeout = 2_000): ChainClient {
  const url = `http://user:${password}@127.0.0.1:${port}/v2/${apiKey}?token=${apiKey}`;
  return createClient({ chain: base, transport: http(url, { retryCount: 0, timeout }), pollingInterval: 10 });
}

describe("an endpoint that fails", () => {
  const transactionHash = parseTransactionHash(word);
  const bootInfo = {
    appId,
    composeHash,
    deviceId: parseDeviceId("de".repeat(32)),
    instanceId: appId,
    mrAggregated: word,
    mrSystem: word,
    osImageHash: word,
    tcbStatus: "UpToDate",
    advisoryIds: [],
  };
  const actions: Record<string, (client: ChainClient) => Promise<unknown>> = {
    readAllowlist: (client) => readAllowlist(client, { appId, composeHash }),
    readOwnership: (client) => readOwnership(client, { appId }),
    readAppSettings: (client) => readAppSettings(client, { appId }),
    readBootVerdict: (client) => readBootVerdict(client, { kms: appId, bootInfo }),
    addComposeHash: (client) => addComposeHash(client, { appId, composeHash, account }),
    deployApp: (client) => deployApp(client, { kms: appId, owner: account.address, account }),
  };

  for (const [name, act] of Object.entries(actions)) {
    it(`makes ${name} say that no server listens`, async () => {
      expect(await rejection(act(clientAt(await closedPort())))).to.be.instanceOf(RpcUnavailableError);
    });
  }

  const answers: Record<string, { status: number; body: string }> = {
    "HTTP 429": { status: 429, body: `{"message":"limit of key ${apiKey} exceeded"}` },
    "HTTP 503": { status: 503, body: "<html>unavailable</html>" },
    "HTTP 401": { status: 401, body: `no such project: ${apiKey}` },
    "a JSON-RPC fault": { status: 200, body: '{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"slow down"}}' },
    "a JSON-RPC fault that repeats the key": {
      status: 200,
      body: `{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"${apiKey} is over its limit"}}`,
    },
    "no JSON": { status: 200, body: "<html>captive portal</html>" },
    "JSON that is no JSON-RPC": { status: 200, body: "{}" },
    "an empty body": { status: 200, body: "" },
  };
  for (const [what, { status, body }] of Object.entries(answers)) {
    it(`is never read as an answer, and shows no key: ${what}`, async () => {
      const server = await startFaultServer((_, response) => response.writeHead(status).end(body));
      try {
        for (const [name, act] of Object.entries(actions)) {
          const error = await rejection(act(clientAt(server.port)));
          expect(error, name).to.be.instanceOf(RpcUnavailableError);
          expect(inspect(error, { depth: 10, showHidden: true }), name)
            .to.not.include(apiKey)
            .and.not.include(password);
        }
      } finally {
        await server.close();
      }
    });
  }

  it("is reported without a key that it repeats, even a short one", async () => {
    const body = { jsonrpc: "2.0", id: 0, error: { code: -32000, message: `${password} and k3y-789 are over quota` } };
    const server = await startFaultServer((_, response) => response.end(JSON.stringify(body)));
    try {
      const url = `http://user:${password}@127.0.0.1:${server.port}/v2/k3y-789`;
      const client = createClient({ chain: base, transport: http(url, { retryCount: 0 }) });
      const error = await rejection(readAllowlist(client, { appId, composeHash }));
      expect(error).to.have.nested.property("context.said", "[hidden] and [hidden] are over quota");
    } finally {
      await server.close();
    }
  });

  describe("repeats parts of the request", () => {
    const words = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ";
    const headers = { "X-Token": "hunter2!pa", Authorization: `Bearer ${words}`, Cookie: 'sid="q1w2e3"' };
    const shown: Record<string, (text: string) => string> = {
      raw: (text) => text,
      "percent-encoded": encodeURIComponent,
      "percent-encoded, every byte": (text) => Buffer.from(text).toString("hex").replace(/../g, "%$&"),
      "JSON-escaped": (text) => JSON.stringify(JSON.stringify(text)),
      "JSON-escaped, every character": (text) => text.replace(/./g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`),
      "in base64": (text) => Buffer.from(text).toString("base64"),
      "inside of base64": (text) => Buffer.from(`{"x":"${text}"}`).toString("base64url"),
      "in hexadecimal": (text) => Buffer.from(text).toString("hex"),
    };
    const secrets = ["hunter2!pa", words, "q1w2e3", "us/er:p%w9", "p%w9", "s3", "z=9 x", "abc", "tail"];
    const endpoints: Record<string, (url: string) => ChainClient> = {
      "one endpoint": (url) =>
        createClient({ chain: base, transport: http(url, { retryCount: 0, fetchOptions: { headers } }) }),
      "a fallback of two": (url) =>
        createClient({
          chain: base,
          transport: fallback([http("http://127.0.0.1:1"), http(url, { fetchOptions: { headers } })], {
            retryCount: 0,
          }),
        }),
    };
    for (const [kind, connect] of Object.entries(endpoints)) {
      for (const [notation, write] of Object.entries(shown)) {
        it(`which the error hides, ${notation}: ${kind}`, async () => {
          let received = "";
          const server = await startFaultServer((request, response) => {
            received = request.headers.authorization ?? "";
            const echoed = [...secrets.map(write), JSON.stringify(request.headers), request.url].join(" , ");
            const error = { code: -32005, message: `over quota: ${echoed} .`, data: echoed };
            response.end(JSON.stringify({ jsonrpc: "2.0", id: 0, error }));
          });
          try {
            const url = `http://us%2Fer:p%25w9@127.0.0.1:${server.port}/v2/s3?network=z%3D9+x&abc#tail`;
            const error = await rejection(readAllowlist(connect(url), { appId, composeHash }));
            const text = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
            expect(received).to.equal(`Bearer ${words}`);
            expect(error)
              .to.have.nested.property("context.said")
              .that.matches(/^over quota: .*\[hidden\]/);
            for (const secret of secrets) {
              if (secret.length < 3 && notation === "inside of base64") continue;
              expect(text, secret).to.not.include(secret.length < 4 ? ` ${write(secret)} ` : write(secret));
            }
          } finally {
            await server.close();
          }
        });
      }
    }

    it("in a revert's reason", async () => {
      const message = `execution reverted: hunter2!pa ${words}`;
      const body = JSON.stringify({ jsonrpc: "2.0", id: 0, error: { code: 3, message } });
      const server = await startFaultServer((_, response) => response.end(body));
      try {
        const client = endpoints["one endpoint"]?.(`http://127.0.0.1:${server.port}`) ?? expect.fail();
        const { revert } = await ethCall(client, { to: appId, data: "0x", abi: [], doing: "asking" });
        expect(revert?.reason).to.equal("execution reverted: [hidden] [hidden]");
      } finally {
        await server.close();
      }
    });

    it("and keeps the other words", async () => {
      const message =
        "block range is too large on base: v2 of eth_getLogs takes 2000 blocks, not 20000, from 0x1c9c380";
      const body = JSON.stringify({ jsonrpc: "2.0", id: 0, error: { code: -32005, message } });
      const server = await startFaultServer((_, response) => response.end(body));
      try {
        const client = endpoints["one endpoint"]?.(`http://127.0.0.1:${server.port}/rpc/v2/base?x=2`) ?? expect.fail();
        const error = await rejection(readAllowlist(client, { appId, composeHash }));
        expect(error).to.have.nested.property("context.said", message);
      } finally {
        await server.close();
      }
    });
  });

  it("is reported with its own message, which cannot control a terminal", async () => {
    const body = { jsonrpc: "2.0", id: 0, error: { code: -32000, message: "max fee\u001b[2J below base fee" } };
    const server = await startFaultServer((_, response) => response.end(JSON.stringify(body)));
    try {
      const error = await rejection(addComposeHash(clientAt(server.port), { appId, composeHash, account }));
      expect(error).to.have.nested.property("context.said", "max fee [2J below base fee");
      expect(error).to.have.property("message").that.includes("max fee [2J below base fee");
    } finally {
      await server.close();
    }
  });

  it("ends a read when the transport gives up", async () => {
    const server = await startFaultServer(() => {});
    try {
      const error = await rejection(readAllowlist(clientAt(server.port, 50), { appId, composeHash }));
      expect(error).to.be.instanceOf(RpcUnavailableError);
      expect(error).to.include({ retryable: true, exitCode: 3 });
    } finally {
      await server.close();
    }
  });

  describe("while waiting for a receipt", () => {
    it("ends at its own time limit when the endpoint hangs", async () => {
      const server = await startFaultServer(() => {});
      try {
        const start = Date.now();
        const wait = { transactionHash, functionName: "addComposeHash", timeoutMs: 100 };
        const error = await rejection(waitForReceipt(clientAt(server.port, 30_000), wait));
        expect(error).to.be.instanceOf(ReceiptTimeoutError);
        expect(Date.now() - start).to.be.within(90, 5_000);
      } finally {
        await server.close();
      }
    });

    it("asks a failing endpoint again until the time is up, and then shows no key", async () => {
      let requests = 0;
      const server = await startFaultServer((_, response) => {
        requests += 1;
        response.writeHead(503).end(apiKey);
      });
      try {
        const wait = { transactionHash, functionName: "addComposeHash", timeoutMs: 150 };
        const error = await rejection(waitForReceipt(clientAt(server.port), wait));
        expect(error).to.be.instanceOf(ReceiptTimeoutError).and.satisfy(isDstackError);
        expect(requests).to.be.at.least(2);
        expect((error as ReceiptTimeoutError).message).to.match(/in 0 s \(at last: HTTP 503/);
        expect(inspect(error, { depth: 10, showHidden: true }))
          .to.not.include(apiKey)
          .and.not.include(password);
      } finally {
        await server.close();
      }
    });
  });
});
