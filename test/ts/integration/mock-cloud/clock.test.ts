import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { type MockCloudOptions, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { adminKey, adminRequest } from "../../../support/mock-cloud/admin-request.ts";
import { createOffChainCvm, dockerCompose, request } from "../../../support/mock-cloud/cloud-world.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";
import { offChainPlatform } from "../../../support/mock-cloud/off-chain-platform.ts";
import { rejection } from "../../../support/rejection.ts";

const day = 24 * 60 * 60 * 1000;

describe("the mock cloud's clock", () => {
  it("ends a rollover that would take a day", async () => {
    const cloud = await startMockCloud({ ...offChainPlatform(), rolloverMs: day });
    try {
      const cvm = await createOffChainCvm({ cloud }, { settle: async () => {} });
      expect((await request(cloud, "GET", `/cvms/${cvm.id}`)).body.status).to.equal("creating");
      await cloud.advance(day);
      await cloud.whenIdle();
      expect((await request(cloud, "GET", `/cvms/${cvm.id}`)).body.status).to.equal("running");
    } finally {
      await cloud.close();
    }
  });

  it("expires a provisioned CVM", async () => {
    const cloud = await startMockCloud(offChainPlatform());
    try {
      const body = { name: "late-app", compose_file: { docker_compose_file: dockerCompose }, kms: "PHALA" };
      const { body: planned } = await request(cloud, "POST", "/cvms/provision", { body });
      const create = { app_id: planned.app_id, compose_hash: planned.compose_hash };
      await cloud.advance(14 * day);
      expect((await request(cloud, "POST", "/cvms", { body: create })).status).to.equal(466);
    } finally {
      await cloud.close();
    }
  });

  it("moves only after all other clocks, and not at all when one of them fails", async () => {
    const base = manualClock();
    const start = base.now();
    const moves: number[] = [];
    const onAdvance = async (ms: number) => {
      if (ms === 13) throw new Error("The chain is stuck.");
      moves.push(ms);
    };
    const events: unknown[] = [];
    const cloud = await startMockCloud({
      ...offChainPlatform(),
      clock: base,
      onAdvance,
      onEvent: (event) => void events.push({ ...event, moves: [...moves] }),
    });
    try {
      await cloud.advance(5_000);
      expect(await rejection(cloud.advance(13))).to.include({ message: "The chain is stuck." });
      await cloud.advance(1);
      const now = (ms: number) => new Date(start + ms).toISOString();
      expect(events).to.deep.equal([
        { type: "clock.advanced", milliseconds: 5_000, now: now(5_000), moves: [5_000] },
        { type: "clock.advanced", milliseconds: 1, now: now(5_001), moves: [5_000, 1] },
      ]);
      for (const wrong of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
        expect(await rejection(cloud.advance(wrong))).to.include({ code: "DSTK-1007" });
      }
    } finally {
      await cloud.close();
    }
  });

  it("stays ahead after a restart", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    const clock = manualClock();
    const options: MockCloudOptions = {
      ...offChainPlatform(),
      clock,
      stateFile: join(folder, "cloud.db"),
      admin: { key: adminKey },
    };
    try {
      const first = await startMockCloud(options);
      await first.advance(day);
      await first.close();
      const second = await startMockCloud(options);
      const { body } = await adminRequest(second, "GET", "/clock");
      expect(body).to.deep.equal({ now: new Date(clock.now() + day).toISOString() });
      await second.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("admin endpoints", () => {
  it("exist only when they are enabled", async () => {
    const cloud = await startMockCloud(offChainPlatform());
    try {
      expect((await adminRequest(cloud, "POST", "/clock/advance", { ms: 1 })).status).to.equal(404);
    } finally {
      await cloud.close();
    }
  });

  it("refuse a short key at the start", async () => {
    const start = startMockCloud({ ...offChainPlatform(), admin: { key: "short" } });
    expect(await rejection(start)).to.include({ code: "DSTK-1007" });
  });

  describe("with a key", () => {
    let cloud: Awaited<ReturnType<typeof startMockCloud>>;
    const clock = manualClock();
    before(async () => {
      cloud = await startMockCloud({ ...offChainPlatform(), clock, admin: { key: adminKey } });
    });
    after(() => cloud.close());

    it("advance the clock", async () => {
      const { status, body } = await adminRequest(cloud, "POST", "/clock/advance", { ms: 90_000 });
      expect(status).to.equal(200);
      expect(body).to.deep.equal({ now: new Date(clock.now() + 90_000).toISOString() });
    });

    it("refuse requests without their key, also with the API's", async () => {
      for (const headers of [{}, { "X-Admin-Key": `${adminKey}x` }, { "X-API-Key": "key-of-the-integration-tests" }]) {
        const response = await fetch(`${cloud.url}/admin/clock`, { headers: headers as Record<string, string> });
        expect(response.status).to.equal(401);
      }
    });

    it("refuse requests from another machine, even with the key", async () => {
      const answer = await cloud.app.inject({
        url: "/admin/clock",
        headers: { "X-Admin-Key": adminKey },
        remoteAddress: "192.0.2.7",
      });
      expect(answer.statusCode).to.equal(403);
      for (const remoteAddress of ["127.0.0.9", "::1", "::ffff:127.0.0.1"]) {
        const near = await cloud.app.inject({
          url: "/admin/clock",
          headers: { "X-Admin-Key": adminKey },
          remoteAddress,
        });
        expect(near.statusCode, remoteAddress).to.equal(200);
      }
    });

    it("report what is wrong with a request", async () => {
      for (const body of [{}, { ms: -1 }, { ms: "1" }, { ms: 1, s: 1 }]) {
        expect((await adminRequest(cloud, "POST", "/clock/advance", body)).status).to.equal(422);
      }
    });

    it("are not part of the API's description", async () => {
      const answer = await cloud.app.inject({ url: "/openapi.json" });
      expect(Object.keys(answer.json().paths).filter((path) => path.startsWith("/admin"))).to.deep.equal([]);
    });
  });
});
