import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseWebhookEvent } from "@phala/cloud/webhook";
import { expect } from "chai";
import { network } from "hardhat";
import { type MockCloudEvent, type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import {
  createOffChainCvm,
  createOnChainCvm,
  request,
  startCloudWorld,
} from "../../../support/mock-cloud/cloud-world.ts";
import { offChainPlatform } from "../../../support/mock-cloud/off-chain-platform.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../../../support/mock-cloud/webhook-receiver.ts";
import { until } from "../../../support/until.ts";

const minute = 60_000;
const nextCompose = "services:\n  app:\n    image: nginx:2\n";

describe("webhooks", () => {
  let cloud: RunningMockCloud;
  let receiver: WebhookReceiver;
  const events: MockCloudEvent[] = [];
  beforeEach(async () => {
    events.length = 0;
    receiver = await startWebhookReceiver();
    cloud = await startMockCloud({ ...offChainPlatform(), onEvent: (event) => void events.push(event) });
  });
  afterEach(async () => {
    await cloud.close();
    await receiver.close();
  });

  const names = () => receiver.received.map(({ headers }) => headers["x-webhook-event"]);
  const deliveries = async (id: unknown) =>
    (await request(cloud, "GET", `/workspace/webhooks/${id}/deliveries`)).body.items as Record<string, unknown>[];
  const allEvents = ["cvm.created", "cvm.started", "cvm.create_failed", "cvm.restarted", "cvm.updated", "cvm.stopped"];

  async function subscribe(wanted: readonly string[] = [...allEvents, "cvm.deleted"]) {
    const body = { url: receiver.url, events: wanted };
    const created = await request(cloud, "POST", "/workspace/webhooks", { body });
    expect(created.status, created.text).to.equal(201);
    return { id: String(created.body.id), secret: String(created.body.secret) };
  }

  async function settled(): Promise<void> {
    await cloud.whenIdle();
    await cloud.whenDelivered();
  }

  it("receive each change of a CVM, with a signature that the official helper accepts", async () => {
    const { secret } = await subscribe();
    const cvm = await createOffChainCvm({ cloud });
    await settled();
    for (const action of ["stop", "start", "restart"]) {
      await request(cloud, "POST", `/cvms/${cvm.id}/${action}`);
      await settled();
    }
    await request(cloud, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file: nextCompose } });
    await settled();
    await request(cloud, "DELETE", `/cvms/${cvm.id}`);
    await settled();
    expect(names().sort()).to.deep.equal(
      [
        "cvm.created",
        "cvm.started",
        "cvm.stopped",
        "cvm.started",
        "cvm.restarted",
        "cvm.updated",
        "cvm.deleted",
      ].sort(),
    );
    for (const { headers, body } of receiver.received) {
      const event = parseWebhookEvent({ headers, body, secret });
      expect(event.id).to.match(/^evt_[0-9a-f]{16}$/);
      expect(event).to.deep.include({ version: "1", event: headers["x-webhook-event"] });
      expect(event.workspace).to.have.property("name", "Test");
      expect(event.data).to.include({ cvm_id: cvm.id, app_id: `app_${cvm.appId.slice(2)}` });
      expect(headers).to.include({ "user-agent": "PhalaCloud-Webhook/1.0", "x-webhook-id": event.id });
      expect(headers["content-type"]).to.equal("application/json");
    }
    expect(JSON.parse(receiver.received.at(-1)?.body ?? "").data.status).to.equal("deleted");
  });

  it("receive the reason why a CVM could not be created", async () => {
    await subscribe(["cvm.create_failed"]);
    cloud.setFault({ kind: "boot-failure", reason: "The disk is full" });
    await createOffChainCvm({ cloud });
    await settled();
    expect(names()).to.deep.equal(["cvm.create_failed"]);
    expect(JSON.parse(receiver.received[0]?.body ?? "").data).to.include({
      status: "error",
      error: "The disk is full",
    });
  });

  it("are called again after one minute, ten minutes and one hour, and then no more", async () => {
    const { id } = await subscribe();
    receiver.respond = (response) => response.writeHead(500).end("x".repeat(5000));
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    for (const [count, ms] of [
      [1, minute - 1000],
      [1, 1000],
      [2, 10 * minute],
      [3, 60 * minute],
      [4, 1000 * minute],
      [4, 0],
    ] as const) {
      await settled();
      expect(receiver.received, `before ${ms} ms more`).to.have.lengthOf(count);
      await cloud.advance(ms);
    }
    const [delivery] = await deliveries(id);
    expect(delivery).to.include({ status: "failed", attempts: 4, response_status: 500, next_attempt_at: null });
    expect(delivery?.response_body, "what a service of this machine says").to.equal(null);
    expect(new Set(receiver.received.map(({ body }) => body)).size, "the same event each time").to.equal(1);
    expect(events.filter(({ type }) => type === "webhook.attempted")).to.have.lengthOf(4);
  });

  it("are delivered when a later attempt is accepted", async () => {
    const { id } = await subscribe();
    receiver.respond = (response) => response.destroy();
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    const [broken] = await deliveries(id);
    expect(broken).to.include({ status: "pending", attempts: 1, response_status: null });
    expect(broken?.error).to.be.a("string").that.is.not.empty;
    receiver.respond = (response) => response.writeHead(200).end("thanks");
    await cloud.advance(minute);
    await settled();
    expect((await deliveries(id))[0]).to.include({
      status: "delivered",
      attempts: 2,
      error: null,
    });
  });

  it("are called again when they do not answer in time", async () => {
    await cloud.close();
    cloud = await startMockCloud({ ...offChainPlatform(), webhookTimeoutMs: 50 });
    const { id } = await subscribe();
    receiver.respond = () => {};
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    const [late] = await deliveries(id);
    expect(late).to.include({ status: "pending", attempts: 1, response_status: null });
    expect(late?.error).to.equal("No answer within 0.05 seconds.");
    receiver.respond = (response) => response.writeHead(204).end();
    // On a busy machine the receiver too may need more than 50 ms, and is called once more.
    const answered = await until(async () => {
      await cloud.advance(60 * minute);
      await settled();
      const [delivery] = await deliveries(id);
      return delivery?.status !== "pending" && delivery;
    });
    expect(answered).to.include({ status: "delivered", attempts: receiver.received.length, error: null });
    expect(receiver.received).to.have.length.greaterThan(1);
  });

  it("count as failed when the target switches protocols or closes the connection, and are sent again", async () => {
    const switching = "HTTP/1.1 101 Switching Protocols\r\n";
    const cases: [name: string, answer: (socket: Socket) => unknown, status: number | null][] = [
      [
        "101 with an upgrade",
        (socket) => socket.write(`${switching}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`),
        101,
      ],
      ["101 without headers", (socket) => socket.write(`${switching}\r\n`), 101],
      ["end", (socket) => socket.end(), null],
      ["reset", (socket) => socket.resetAndDestroy(), null],
    ];
    for (const [name, answer, status] of cases) {
      let connections = 0;
      const target = createServer((socket) => {
        connections += 1;
        socket.on("error", () => {});
        if (status !== null) return socket.once("data", () => answer(socket));
        socket.resume();
        answer(socket);
      }).listen(0, "127.0.0.1");
      await once(target, "listening");
      const { port } = target.address() as AddressInfo; // listening on TCP
      const body = { url: `http://127.0.0.1:${port}/`, events: ["cvm.updated"] };
      const { body: webhook } = await request(cloud, "POST", "/workspace/webhooks", { body });
      await request(cloud, "POST", `/workspace/webhooks/${webhook.id}/test`);
      await settled();
      const [delivery] = await deliveries(webhook.id);
      expect(delivery, name).to.include({ status: "pending", attempts: 1, response_status: status });
      if (status === null) expect(delivery?.error, name).to.be.a("string").that.is.not.empty;
      await cloud.advance(minute);
      await settled();
      expect(connections, name).to.equal(2);
      await request(cloud, "DELETE", `/workspace/webhooks/${webhook.id}`);
      target.close();
      await once(target, "close");
    }
  });

  it("are not delivered to the target of a redirect", async () => {
    const { id } = await subscribe();
    receiver.respond = (response) => response.writeHead(302, { location: receiver.url }).end();
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    expect(receiver.received).to.have.lengthOf(1);
    expect((await deliveries(id))[0]).to.include({ status: "pending", response_status: 302 });
  });

  it("receive an event again on request, with a new id that names the first", async () => {
    const { id, secret } = await subscribe();
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    const [first] = await deliveries(id);
    const again = await request(cloud, "POST", `/workspace/webhooks/${id}/deliveries/${first?.event_id}/resend`);
    expect(again.status).to.equal(202);
    await settled();
    const [, sent] = receiver.received;
    const event = parseWebhookEvent({ headers: sent?.headers ?? {}, body: sent?.body ?? "", secret });
    expect(event).to.include({ id: again.body.event_id, event: "webhook.test", original_event_id: first?.event_id });
    expect(event.id).to.not.equal(first?.event_id);
    expect((await request(cloud, "POST", `/workspace/webhooks/${id}/deliveries/evt_none/resend`)).status).to.equal(404);
  });

  it("receive an event twice with a fault", async () => {
    const { id } = await subscribe();
    cloud.setFault({ kind: "duplicate-delivery", times: 1 });
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    expect(receiver.received).to.have.lengthOf(2);
    expect(receiver.received[0]?.body).to.equal(receiver.received[1]?.body);
    expect(await deliveries(id)).to.have.lengthOf(1);
  });

  it("keep the last 50 deliveries", async () => {
    const { id } = await subscribe();
    for (let count = 0; count < 53; count += 1) {
      await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
      await settled();
    }
    expect(await deliveries(id)).to.have.lengthOf(50);
  });

  it("show their secret when created or asked for, and nowhere else", async () => {
    const { id, secret } = await subscribe();
    expect(secret).to.match(/^whsec_[0-9a-f]{64}$/);
    const revealed = await request(cloud, "POST", `/workspace/webhooks/${id}/reveal-secret`);
    expect(revealed.body).to.deep.equal({ id, secret });
    const rotated = await request(cloud, "POST", `/workspace/webhooks/${id}/rotate-secret`);
    expect(rotated.body.secret)
      .to.match(/^whsec_/)
      .and.not.equal(secret);
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    const { headers, body } = receiver.received[0] ?? { headers: {}, body: "" };
    parseWebhookEvent({ headers, body, secret: String(rotated.body.secret) });
    expect(() => parseWebhookEvent({ headers, body, secret })).to.throw(/signature/);
    const changed = { url: receiver.url, events: ["cvm.updated"], enabled: false };
    const answers = [
      await request(cloud, "GET", "/workspace/webhooks"),
      await request(cloud, "PUT", `/workspace/webhooks/${id}`, { body: changed }),
      await request(cloud, "GET", `/workspace/webhooks/${id}/deliveries`),
    ];
    for (const { status, text } of answers) {
      expect(status).to.equal(200);
      expect(text).to.not.contain("whsec_");
    }
    expect(JSON.stringify(events)).to.not.contain("whsec_");
  });

  it("receive only their events, and nothing while they are disabled or deleted", async () => {
    const { id } = await subscribe(["cvm.updated"]);
    const cvm = await createOffChainCvm({ cloud });
    await settled();
    expect(names()).to.deep.equal([]);
    const off = { url: receiver.url, events: ["cvm.updated"], enabled: false };
    await request(cloud, "PUT", `/workspace/webhooks/${id}`, { body: off });
    await request(cloud, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file: nextCompose } });
    await settled();
    expect(names()).to.deep.equal([]);
    expect((await request(cloud, "DELETE", `/workspace/webhooks/${id}`)).status).to.equal(204);
    expect((await request(cloud, "GET", `/workspace/webhooks/${id}/deliveries`)).status).to.equal(404);
    expect((await request(cloud, "GET", "/workspace/webhooks")).body).to.deep.equal({ items: [], total: 0 });
  });

  it("may name the test event, which they receive in any case", async () => {
    for (const wanted of [["webhook.test"], ["cvm.updated"]]) {
      const { id } = await subscribe(wanted);
      await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
      await settled();
    }
    expect(names()).to.deep.equal(["webhook.test", "webhook.test"]);
  });

  it("change only in the given fields", async () => {
    const { id } = await subscribe(["cvm.updated"]);
    const change = async (body: object) => (await request(cloud, "PUT", `/workspace/webhooks/${id}`, { body })).body;
    expect(await change({ enabled: false })).to.deep.include({ url: receiver.url, events: ["cvm.updated"] });
    expect(await change({ events: ["cvm.stopped"] })).to.deep.include({ enabled: false, events: ["cvm.stopped"] });
    expect(await change({})).to.deep.include({ url: receiver.url, enabled: false, events: ["cvm.stopped"] });
  });

  it("are not called again for an event when they are disabled, except for a test", async () => {
    const { id } = await subscribe(["cvm.restarted"]);
    const cvm = await createOffChainCvm({ cloud });
    receiver.respond = (response) => response.writeHead(500).end();
    await request(cloud, "POST", `/cvms/${cvm.id}/restart`);
    await settled();
    expect(receiver.received).to.have.lengthOf(1);
    await request(cloud, "PUT", `/workspace/webhooks/${id}`, { body: { enabled: false } });
    await cloud.advance(minute);
    await settled();
    expect(receiver.received).to.have.lengthOf(1);
    const [given] = await deliveries(id);
    expect(given).to.include({ status: "failed", attempts: 1, response_status: 500, next_attempt_at: null });
    expect(given?.error).to.include("switched off");
    await request(cloud, "POST", `/workspace/webhooks/${id}/test`);
    await settled();
    await cloud.advance(minute);
    await settled();
    expect(receiver.received).to.have.lengthOf(3);
  });

  it("may be on loopback by each of its names, and on no private, link-local or other internal address", async () => {
    const { port } = new URL(receiver.url);
    for (const host of ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]) {
      const body = { url: `http://${host}:${port}/`, events: ["cvm.updated"] };
      const { body: webhook } = await request(cloud, "POST", "/workspace/webhooks", { body });
      await request(cloud, "POST", `/workspace/webhooks/${webhook.id}/test`);
      await settled();
      expect((await deliveries(String(webhook.id)))[0], host).to.include({ status: "delivered" });
    }
    const { id } = await subscribe();
    for (const host of innerHosts) {
      const body = { url: `http://${host}:${port}/`, events: ["cvm.updated"] };
      for (const answer of [
        await request(cloud, "POST", "/workspace/webhooks", { body }),
        await request(cloud, "PUT", `/workspace/webhooks/${id}`, { body }),
      ]) {
        expect(answer.status, host).to.equal(422);
        expect(answer.body.detail).to.have.nested.property("[0].loc").that.deep.equals(["body", "url"]);
      }
    }
  });

  it("are checked again when they are called, and may be internal with an option", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    const options = { ...offChainPlatform(), stateFile: join(folder, "cloud.db") };
    const inner = { url: receiver.url.replace("127.0.0.1", "0.0.0.0"), events: ["cvm.updated"] };
    try {
      const open = await startMockCloud({ ...options, privateWebhooks: true });
      const { body: webhook } = await request(open, "POST", "/workspace/webhooks", { body: inner });
      await request(open, "POST", `/workspace/webhooks/${webhook.id}/test`);
      await open.whenDelivered();
      expect(receiver.received).to.have.lengthOf(1);
      await open.close();

      const closed = await startMockCloud(options);
      await request(closed, "POST", `/workspace/webhooks/${webhook.id}/test`);
      await closed.whenDelivered();
      const { body } = await request(closed, "GET", `/workspace/webhooks/${webhook.id}/deliveries`);
      expect(body).to.have.nested.property("items[0].error").that.includes("0.0.0.0 is not a public address");
      expect(receiver.received).to.have.lengthOf(1);
      await closed.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("are refused with an invalid address or invalid events", async () => {
    for (const body of [
      { url: "ftp://127.0.0.1/", events: ["cvm.updated"] },
      { url: "http://user:secret@127.0.0.1/", events: ["cvm.updated"] },
      { url: "nowhere", events: ["cvm.updated"] },
      { url: receiver.url, events: [] },
      { url: receiver.url, events: ["cvm.exploded"] },
      { events: ["cvm.updated"] },
    ]) {
      expect((await request(cloud, "POST", "/workspace/webhooks", { body })).status, JSON.stringify(body)).to.equal(
        422,
      );
    }
  });
});

/** As a URL may write them. */
const innerHosts = [
  "0.0.0.0",
  "10.1.2.3",
  "100.100.100.200",
  "169.254.169.254",
  "2852039166",
  "0xa9fea9fe",
  "0251.0376.0251.0376",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.168.0.1",
  "192.168.257",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "[::]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "[fe80::1]",
  "[ff02::1]",
  "[::ffff:10.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "[0:0:0:0:0:ffff:c0a8:0001]",
  "[::ffff:0:10.0.0.1]",
  "[64:ff9b::10.0.0.1]",
  "[64:ff9b:1::1]",
  "[2002:a9fe:a9fe::1]",
  "[2001:0:1:2:3:4:5:6]",
];

describe("webhooks of a cloud that stops", () => {
  it("receive events once after the restart", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    const receiver = await startWebhookReceiver();
    try {
      const options = { ...offChainPlatform(), stateFile: join(folder, "cloud.db") };
      const first = await startMockCloud({ ...options, rolloverMs: 60 * minute });
      receiver.respond = (response) => response.writeHead(503).end();
      const body = { url: receiver.url, events: ["cvm.created", "cvm.started"] };
      await request(first, "POST", "/workspace/webhooks", { body });
      await createOffChainCvm({ cloud: first }, { settle: async () => {} });
      await first.whenDelivered();
      expect(receiver.received).to.have.lengthOf(1);
      await first.close();

      receiver.respond = (response) => response.writeHead(204).end();
      const second = await startMockCloud(options);
      await second.whenIdle();
      await second.whenDelivered();
      await second.advance(minute);
      await second.whenDelivered();
      expect(receiver.received.map(({ headers }) => headers["x-webhook-event"])).to.deep.equal([
        "cvm.created",
        "cvm.started",
        "cvm.created",
      ]);
      expect(receiver.received[2]?.body).to.equal(receiver.received[0]?.body);
      await second.close();
    } finally {
      await receiver.close();
      rmSync(folder, { recursive: true });
    }
  });
});

describe("an event of webhooks", () => {
  let folder: string;
  let stateFile: string;
  let cloud: RunningMockCloud;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    stateFile = join(folder, "cloud.db");
    cloud = await startMockCloud({ ...offChainPlatform(), stateFile });
    const body = { url: "http://127.0.0.1:9/", events: ["cvm.created", "cvm.deleted", "cvm.updated"] };
    await request(cloud, "POST", "/workspace/webhooks", { body });
  });
  afterEach(async () => {
    await cloud.close();
    rmSync(folder, { recursive: true });
  });

  /** From another connection, as a full disk would at the worst moment: between the state and what tells of it. */
  function refuseDeliveries(): void {
    const database = new DatabaseSync(stateFile);
    database.exec(
      "CREATE TRIGGER full BEFORE INSERT ON webhook_delivery BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    );
    database.close();
  }

  it("does not happen when it cannot be recorded", async () => {
    const cvm = await createOffChainCvm({ cloud });
    refuseDeliveries();
    expect((await request(cloud, "DELETE", `/cvms/${cvm.id}`)).status).to.equal(500);
    expect((await request(cloud, "GET", `/cvms/${cvm.id}`)).body).to.include({ status: "running" });
    expect(cloud.readHistory(cvm.id).map(({ kind }) => kind)).to.deep.equal(["create"]);
  });

  it("is stored together with its record, before any other reader sees it", async () => {
    await cloud.close();
    const seen: [string, number, number][] = [];
    cloud = await startMockCloud({ ...offChainPlatform(), stateFile, onEvent: ({ type }) => look(type) });
    const cvm = await createOffChainCvm({ cloud });
    await request(cloud, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file: nextCompose } });
    await cloud.whenIdle();
    expect(seen).to.deep.equal([
      ["operation.started", 1, 1],
      ["operation.finished", 1, 1],
      ["operation.started", 2, 1],
      ["operation.finished", 2, 2],
    ]);

    function look(type: string): void {
      if (!type.startsWith("operation.")) return;
      const database = new DatabaseSync(stateFile, { readOnly: true });
      const count = (table: string) => Number(database.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.count);
      seen.push([type, count("operation"), count("webhook_delivery")]);
      database.close();
    }
  });
});

describe("webhooks of an update that waits for its owner", () => {
  it("receive the hash to register, with its contract and the time limit", async () => {
    const world = await startCloudWorld(await network.create("local"));
    const receiver = await startWebhookReceiver();
    try {
      const { cloud } = world;
      const events = ["cvm.update.pending_approval"];
      await request(cloud, "POST", "/workspace/webhooks", { body: { url: receiver.url, events } });
      const cvm = await createOnChainCvm(world);
      const headers = { "X-Prepare-Only": "true" };
      const body = { docker_compose_file: nextCompose };
      const prepared = await request(cloud, "PATCH", `/cvms/${cvm.id}`, { body, headers });
      expect(prepared.status).to.equal(465);
      await cloud.whenDelivered();
      expect(receiver.received).to.have.lengthOf(1);
      const { data } = JSON.parse(receiver.received[0]?.body ?? "");
      expect(data).to.deep.include({
        cvm_id: cvm.id,
        status: "running",
        kms: { chain_id: 8453, contract_address: world.dstack.kms.toLowerCase() },
        onchain_action: { to: cvm.appId, method: "addComposeHash", calldata: `0x${prepared.body.compose_hash}` },
        initiated_by: "tess",
      });
      const days = (Date.parse(data.expires_at) - Date.now()) / (24 * 60 * minute);
      expect(days).to.be.within(13.9, 14);
    } finally {
      await world.cloud.close();
      await receiver.close();
    }
  });
});
