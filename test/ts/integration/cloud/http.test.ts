import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { inspect } from "node:util";
import { expect } from "chai";
import { type CreateCloudClientParameters, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getAppEncryptionKey } from "../../../../src/cloud/get-app-encryption-key.ts";
import { getComposeFile } from "../../../../src/cloud/get-compose-file.ts";
import { getCvm, safeGetCvm } from "../../../../src/cloud/get-cvm.ts";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import { maximumBodyBytes } from "../../../../src/cloud/http.ts";
import { confirmCvmPatch, patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { updateDockerCompose } from "../../../../src/cloud/update-docker-compose.ts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import {
  CloudProtocolError,
  CloudResponseError,
  CloudUnreachableError,
  CvmBusyError,
  CvmNotFoundError,
  type DstackError,
  HashExpiredError,
  HashNotAllowedError,
  TransactionNotVerifiedError,
  UnauthorizedError,
} from "../../../../src/errors/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { type ReceivedRequest, sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";

const apiKey = "key-SECRET-of-the-tests";
const appId = parseAppId("a1".repeat(20));
const composeHash = parseComposeHash("c2".repeat(32));
const transactionHash = parseTransactionHash("70".repeat(32));

const cvm = {
  id: "cvm_1",
  name: "my-app",
  status: "running",
  app_id: "a1".repeat(20),
  vm_uuid: "9f5d6d0e-6f0a-4a86-9d4b-9d3d0d1f0a11",
  compose_hash: "c1".repeat(32),
  resource: {},
  gateway: {},
  kms_info: { chain_id: 8453, dstack_app_address: null, encrypted_env_pubkey: "e1".repeat(32) },
};
const kmsInfo = {
  id: "kms_1",
  slug: "kms-base-1",
  url: "https://kms.example",
  version: "0.5.7",
  chain_id: 8453,
  kms_contract_address: `0x${"b1".repeat(20)}`,
  gateway_app_id: null,
};
const registration = {
  error_code: "ERR-01-005",
  message: "Register it.",
  details: [
    { field: "compose_hash", value: "c2".repeat(32) },
    { field: "app_id", value: "a1".repeat(20) },
    { field: "device_id", value: "d1".repeat(32) },
    { field: "kms_info", value: kmsInfo },
  ],
};

type Answer = (response: ServerResponse, request: ReceivedRequest, count: number) => void;

describe("the cloud client over HTTP", () => {
  const servers: TestServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  async function serve(answer: Answer, settings: Partial<CreateCloudClientParameters> = {}) {
    const server = await startServer(answer);
    servers.push(server);
    const retry = { attempts: 3, baseDelayMs: 1, maxDelayMs: 50 };
    const client = createCloudClient({ apiKey, baseUrl: `${server.url}/api/v1`, retry, ...settings });
    return { client, server };
  }

  it("sends key and version with every request, and a body only with its content", async () => {
    const { client, server } = await serve((response) => sendJson(response, 200, cvm));
    await getCvm(client, { cvm: "my app/1" });
    const [request] = server.received;
    expect(request).to.include({ method: "GET", url: "/api/v1/cvms/my%20app%2F1", body: "" });
    expect(request?.headers).to.include({ "x-api-key": apiKey, "x-phala-version": "2026-01-21" });
    expect(request?.headers).to.not.have.property("content-type");
  });

  it("omits what the caller does not set", async () => {
    const { client, server } = await serve((response) => sendJson(response, 202, { correlation_id: "c" }));
    await patchCvm(client, { cvm: "a", dockerCompose: "services: {}\n", publicLogs: false });
    expect(JSON.parse(server.received[0]?.body ?? "")).to.deep.equal({
      docker_compose_file: "services: {}\n",
      public_logs: false,
    });
    expect(server.received[0]?.headers).to.not.have.property("x-prepare-only");
  });

  it("sends a registered hash in headers", async () => {
    const { client, server } = await serve((response) => sendJson(response, 202, { correlation_id: "c" }));
    await confirmCvmPatch(client, { cvm: "a", composeHash, transactionHash });
    expect(server.received[0]).to.include({ method: "PATCH", body: "{}" });
    expect(server.received[0]?.headers).to.include({
      "x-compose-hash": "c2".repeat(32),
      "x-transaction-hash": transactionHash,
    });
  });

  it("sends a compose file as plain text", async () => {
    const { client, server } = await serve((response) =>
      sendJson(response, 202, { status: "in_progress", message: "m", correlation_id: "c" }),
    );
    const dockerCompose = 'services:\n  a:\n    image: "é: 1"\n';
    const registered = { composeHash, transactionHash: "already-registered" } as const;
    await updateDockerCompose(client, { cvm: "a", dockerCompose, registered });
    expect(server.received[0]).to.include({ body: dockerCompose });
    expect(server.received[0]?.headers).to.include({
      "content-type": "text/yaml",
      "x-transaction-hash": "already-registered",
    });
  });

  it("reads both shapes of a CVM as one type", async () => {
    const flat = {
      ...cvm,
      id: 7,
      teepod_id: 5,
      instance_id: null,
      vcpu: 1,
      memory: 2048,
      disk_size: 40,
      base_image: null,
      encrypted_env_pubkey: "e1".repeat(32),
      kms_info: kmsInfo,
      in_progress: true,
    };
    const { client } = await serve((response, { headers }) =>
      sendJson(response, 200, headers["x-phala-version"] === "2025-10-28" ? flat : cvm),
    );
    expect(await getCvm(client, { cvm: "a" })).to.include({
      id: "cvm_1",
      busy: false,
      appId,
      chainId: 8453,
      composeHash: `0x${"c1".repeat(32)}`,
      kmsReference: undefined,
    });
    expect(await getCvm(client, { cvm: "a", apiVersion: "2025-10-28" })).to.include({
      id: "7",
      busy: true,
      appId,
      chainId: 8453,
      composeHash: undefined,
      kmsReference: "kms-base-1",
      encryptionPublicKey: "e1".repeat(32),
    });
  });

  it("reads a 465 as an answer", async () => {
    const { client } = await serve((response) => sendJson(response, 465, registration, { "X-Request-ID": "req-1" }));
    const outcome = await patchCvm(client, { cvm: "a" });
    expect(outcome).to.deep.include({
      kind: "registrationRequired",
      composeHash,
      appId,
      deviceId: `0x${"d1".repeat(32)}`,
      correlationId: "req-1",
    });
    expect(outcome).to.have.nested.property("kms.chainId", 8453);
  });

  describe("has an error class for each refusal", () => {
    const refusals: readonly [number, unknown, new (...args: never[]) => DstackError, string?][] = [
      [401, { detail: "Invalid key" }, UnauthorizedError],
      [403, { detail: "No" }, UnauthorizedError],
      [404, { error_code: "ERR-03-001", message: "No such CVM" }, CvmNotFoundError, "ERR-03-001"],
      [404, { error_code: "ERR-02-011", message: "No such KMS" }, CloudResponseError, "ERR-02-011"],
      [409, { error_code: "ERR-09-001", message: "Busy" }, CvmBusyError, "ERR-09-001"],
      [409, { error_code: "ERR-01-004", message: "Name taken" }, CloudResponseError, "ERR-01-004"],
      [466, { error_code: "ERR-01-006", message: "Expired" }, HashExpiredError, "ERR-01-006"],
      [467, { detail: { error_code: "ERR-01-007", message: "No receipt" } }, TransactionNotVerifiedError, "ERR-01-007"],
      [468, { error_code: "ERR-01-008", message: "Not allowed" }, HashNotAllowedError, "ERR-01-008"],
      [422, { detail: [{ loc: ["body", "vcpu"], msg: "too many", type: "x" }] }, CloudResponseError],
      [500, "<html>oops</html>", CloudResponseError],
    ];
    for (const [status, body, type, errorCode] of refusals) {
      it(`${status} ${errorCode ?? JSON.stringify(body)}`, async () => {
        const { client } = await serve((response) => sendJson(response, status, body, { "X-Request-ID": "req-7" }));
        const error = await catchError(patchCvm(client, { cvm: "a" }), type);
        expect(error.constructor).to.equal(type);
        expect(error.context).to.include({
          method: "PATCH",
          path: "/cvms/a",
          status,
          errorCode,
          correlationId: "req-7",
        });
        expect(error.nextStep).to.be.a("string");
      });
    }
  });

  it("names the invalid field of a request", async () => {
    const body = { detail: [{ loc: ["body", "vcpu"], msg: "too many", type: "x" }] };
    const { client } = await serve((response) => sendJson(response, 422, body));
    const error = await catchError(patchCvm(client, { cvm: "a" }), CloudResponseError);
    expect(error.answer.apiMessage).to.equal("vcpu: too many");
  });

  it("returns every refusal as a value in the safe form, and throws for bugs", async () => {
    const { client } = await serve((response) => sendJson(response, 404, { detail: "gone" }));
    const result = await safeGetCvm(client, { cvm: "a" });
    expect(result).to.have.property("success", false);
    expect(result).to.have.property("error").that.is.instanceOf(CvmNotFoundError);
    const broken: typeof client = { ...client, request: () => Promise.reject(new RangeError("a bug")) };
    await catchError(safeGetCvm(broken, { cvm: "a" }), RangeError);
  });

  describe("names the call whose answer is invalid", () => {
    // A proxy may have answered, so that another try can succeed. The last two are no accident.
    const [again, once] = [3, 1];
    const answers: Readonly<Record<string, Answer>> = {
      "not JSON": (response) => void response.writeHead(200).end("<html></html>"),
      empty: (response) => void response.writeHead(200).end(),
      "of another shape": (response) => sendJson(response, 200, { ...cvm, status: 5 }),
      "with a hash one byte short": (response) => sendJson(response, 200, { ...cvm, compose_hash: "c1".repeat(31) }),
      "with a hash one byte long": (response) => sendJson(response, 200, { ...cvm, compose_hash: "c1".repeat(33) }),
      null: (response) => sendJson(response, 200, null),
      "longer than anything that belongs there": (response) =>
        void response.writeHead(200).end(`"${"x".repeat(maximumBodyBytes)}"`),
      "a redirect": (response) => void response.writeHead(307, { location: "http://127.0.0.1:1/" }).end(),
    };
    for (const [name, answer] of Object.entries(answers)) {
      it(name, async () => {
        const { client, server } = await serve(answer);
        const error = await catchError(getCvm(client, { cvm: "a" }), CloudProtocolError);
        expect(error.context).to.include({ method: "GET", path: "/cvms/a" });
        const isFinal = /^a redirect|^longer/.test(name);
        expect(server.received).to.have.length(isFinal ? once : again);
      });
    }

    it("a redirect, with its status and target, to which it sends nothing", async () => {
      const other = await serve((response) => sendJson(response, 200, cvm));
      const location = `http://user:pw@${new URL(other.server.url).host}/api/v1/cvms/a?key=${"k".repeat(30)}`;
      for (const status of [301, 302, 303, 307, 308]) {
        const { client } = await serve((response) => response.writeHead(status, { location }).end());
        const { origin } = new URL(other.server.url);
        for (const act of [() => getCvm(client, { cvm: "a" }), () => patchCvm(client, { cvm: "a" })]) {
          const { message } = await catchError(act(), CloudProtocolError);
          expect(message).to.include(`a redirect (${status} to ${origin})`).and.to.not.include("kkkk");
        }
      }
      expect(other.server.received).to.have.length(0);
    });

    const malformed = (details: unknown) => ({ ...registration, details });
    const registrations: Readonly<Record<string, unknown>> = {
      "without a hash": malformed(registration.details.slice(1)),
      "with a hash of 31 bytes": malformed([
        { field: "compose_hash", value: "c2".repeat(31) },
        ...registration.details.slice(1),
      ]),
      "with an app id that is none": malformed([...registration.details, { field: "app_id", value: "undefined" }]),
      "without details at all": { error_code: "ERR-01-005", message: "Register it." },
    };
    for (const [name, body] of Object.entries(registrations)) {
      it(`a 465 ${name}`, async () => {
        const { client } = await serve((response) => sendJson(response, 465, body));
        await catchError(patchCvm(client, { cvm: "a" }), CloudProtocolError);
      });
    }

    it("an app-compose document that would be read as another one", async () => {
      const { client } = await serve((response) =>
        response.writeHead(200, { "content-type": "application/json" }).end('{"name":"a","name":"b"}'),
      );
      await catchError(getComposeFile(client, { cvm: "a" }), CloudProtocolError);
    });

    it("an encryption key of another length", async () => {
      const { client } = await serve((response) =>
        sendJson(response, 200, { public_key: "e1".repeat(31), signature: "00".repeat(65) }),
      );
      await catchError(getAppEncryptionKey(client, { kms: "k", appId }), CloudProtocolError);
    });
  });

  describe("repeats", () => {
    it("a read until it is answered", async () => {
      const { client, server } = await serve((response, _, count) =>
        count === 1 ? response.destroy() : sendJson(response, count === 2 ? 502 : 200, cvm),
      );
      expect(await getCvm(client, { cvm: "a" })).to.include({ id: "cvm_1" });
      expect(server.received).to.have.length(3);
    });

    it("a read up to the number of attempts", async () => {
      const { client, server } = await serve((response) => sendJson(response, 503, { detail: "later" }));
      const error = await catchError(getCvm(client, { cvm: "a" }), CloudResponseError);
      expect(error).to.include({ status: 503, retryable: true });
      expect(server.received).to.have.length(3);
    });

    it("a change that the cloud refused because the CVM was busy", async () => {
      const { client, server } = await serve((response, _, count) =>
        count === 1 ? sendJson(response, 409, { detail: "Busy" }) : sendJson(response, 202, { correlation_id: "c" }),
      );
      expect(await patchCvm(client, { cvm: "a" })).to.include({ kind: "accepted", correlationId: "c" });
      expect(server.received).to.have.length(2);
    });

    it("no change whose answer was lost", async () => {
      const { client, server } = await serve((response) => response.destroy());
      await catchError(patchCvm(client, { cvm: "a" }), CloudUnreachableError);
      expect(server.received).to.have.length(1);
    });

    it("no change after a fault of the server", async () => {
      const { client, server } = await serve((response) => sendJson(response, 503, { detail: "oops" }));
      await catchError(patchCvm(client, { cvm: "a" }), CloudResponseError);
      expect(server.received).to.have.length(1);
    });

    it("after the pause the server asks for", async () => {
      let first = 0;
      const { client } = await serve(
        (response, _, count) => {
          if (count === 1) first = performance.now();
          sendJson(response, count === 1 ? 429 : 200, cvm, { "retry-after": "1" });
        },
        { retry: { attempts: 2, baseDelayMs: 1, maxDelayMs: 5_000 } },
      );
      await getCvm(client, { cvm: "a" });
      expect(performance.now() - first).to.be.within(990, 4_000);
    });
  });

  it("gives up on a server that never ends its answer", async () => {
    const { client } = await serve((response) => response.writeHead(200).write("{"), {
      timeoutMs: 60,
      retry: { attempts: 1 },
    });
    const error = await catchError(getCvm(client, { cvm: "a" }), CloudUnreachableError);
    expect(error.cause).to.have.property("name", "TimeoutError");
  });

  for (const [what, settings] of Object.entries({
    "": {},
    ", also through a fetch that does not listen": {
      fetch: ((input, init) => fetch(input, { ...init, signal: null })) satisfies typeof fetch,
    },
  }))
    it(`asks a server that drips its answer once more, and then gives up${what}`, async () => {
      const drips: NodeJS.Timeout[] = [];
      const { client, server } = await serve(
        (response) => {
          response.writeHead(200, { "content-type": "application/json" });
          drips.push(setInterval(() => response.write(" "), 5));
        },
        { timeoutMs: 100, ...settings },
      );
      const start = performance.now();
      const error = await catchError(getCvm(client, { cvm: "a" }), CloudUnreachableError);
      for (const drip of drips) clearInterval(drip);
      expect(error.cause).to.have.property("name", "TimeoutError");
      expect(server.received).to.have.length(2);
      expect(performance.now() - start).to.be.lessThan(2_000);
    });

  it("reports that no server listens", async () => {
    const { client } = await serve(() => {}, { baseUrl: `http://127.0.0.1:${await unusedPort()}` });
    const error = await catchError(getCvm(client, { cvm: "a" }), CloudUnreachableError);
    expect(error).to.include({ retryable: true });
  });

  describe("keeps the API key out of", () => {
    const showing = (error: unknown) => inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error);

    it("errors of a server that repeats it", async () => {
      const body = { error_code: apiKey, message: `bad key ${apiKey}`, correlation_id: apiKey };
      const { client } = await serve((response) => sendJson(response, 401, body, { "x-request-id": apiKey }));
      const error = await catchError(getCvm(client, { cvm: "a" }), UnauthorizedError);
      expect(showing(error)).to.not.include("SECRET");
    });

    const escaped = [...apiKey].map((one) => `\\u00${one.charCodeAt(0).toString(16)}`).join("");
    const spellings: Record<string, string> = {
      "with JSON's escapes": escaped,
      "in base64": Buffer.from(apiKey).toString("base64"),
      "inside of base64": Buffer.from(`X-API-Key: ${apiKey}!`).toString("base64"),
      "percent-encoded": Buffer.from(apiKey).toString("hex").replace(/../g, "%$&"),
      "in hexadecimal": Buffer.from(apiKey).toString("hex"),
    };
    for (const [notation, spelling] of Object.entries(spellings)) {
      it(`errors of a server that repeats it ${notation}`, async () => {
        const bodies = [
          `{"detail":"${spelling}"}`,
          `{"error_code":"${spelling}","message":"bad key ${spelling}","correlation_id":"${spelling}"}`,
          `{"detail":[{"loc":["header","${spelling}"],"msg":"${spelling}","type":"x"}]}`,
        ];
        for (const body of bodies) {
          const { client } = await serve((response) => response.writeHead(400).end(body));
          const error = await catchError(getCvm(client, { cvm: "a" }), CloudResponseError);
          expect(showing(error)).to.not.include("SECRET").and.not.include(spelling);
          expect(error.message).to.include("[api key]");
        }
      });
    }

    it("errors of a server that sends it in an invalid value, or as the reason of a failed boot", async () => {
      const { client } = await serve((response, { url }) => {
        if (url.endsWith("/state"))
          return sendJson(response, 200, { name: "a", status: "error", boot_error: `no ${apiKey}` });
        sendJson(response, 200, { ...cvm, kms_info: { [apiKey]: 1 }, compose_hash: apiKey, app_id: apiKey });
      });
      const error = await catchError(getCvm(client, { cvm: "a" }), CloudProtocolError);
      expect(showing(error)).to.not.include("SECRET");
      expect((await getCvmState(client, { cvm: "a" })).bootError).to.equal("no [api key]");
    });

    it("errors of a transport that repeats it", async () => {
      const leaky: typeof fetch = async (_, init) => {
        throw new TypeError("cannot send", { cause: { headers: init?.headers } });
      };
      const { client } = await serve(() => {}, { fetch: leaky });
      const error = await catchError(getCvm(client, { cvm: "a" }), CloudUnreachableError);
      expect(showing(error)).to.not.include("SECRET");
    });
  });

  it("removes control characters from a server's text, and cuts it", async () => {
    const message = `\u001b[2J\u001b]0;owned\u0007\u202e${"long ".repeat(500)}`;
    const { client } = await serve((response) => sendJson(response, 400, { error_code: "E", message }));
    const error = await catchError(getCvm(client, { cvm: "a" }), CloudResponseError);
    expect(error.message).to.not.match(/[\p{Cc}\p{Cf}]/u);
    expect(error.message.length).to.be.lessThan(700);
  });
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
