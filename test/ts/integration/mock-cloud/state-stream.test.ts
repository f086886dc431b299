import { watchCvmState } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  apiKey,
  type CloudWorld,
  createOffChainCvm,
  officialClient,
  platformOf,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type ManualClock, manualClock } from "../../../support/mock-cloud/manual-clock.ts";

const rolloverMs = 60_000;

describe("a CVM's state as a stream of events", () => {
  let world: CloudWorld;
  let clock: ManualClock;
  let cvm: TestCvm;

  before(async () => {
    const dstack = await deployDstack(await network.create("local"));
    clock = manualClock();
    world = { dstack, cloud: await startMockCloud({ ...platformOf(dstack), clock, rolloverMs }), events: [] };
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOffChainCvm(world, { settle });
  });

  async function settle() {
    clock.advance(rolloverMs);
    await world.cloud.whenIdle();
  }

  function open(query: string, signal?: AbortSignal): Promise<Response> {
    const headers = { Accept: "text/event-stream", "X-API-Key": apiKey };
    return fetch(`${world.cloud.baseUrl}/cvms/${cvm.id}/state?${query}`, { headers, ...(signal && { signal }) });
  }

  const update = (text: string) =>
    request(world.cloud, "PATCH", `/cvms/${cvm.id}/docker-compose`, {
      body: `services:\n  app:\n    image: ${text}\n`,
      headers: { "Content-Type": "text/yaml" },
    });

  it("follows an update to its end for the official client, without waiting for the interval", async () => {
    expect((await update("nginx:2")).status).to.equal(202);
    const seen: string[] = [];
    const watched = watchCvmState(
      officialClient(world.cloud),
      { id: cvm.id, target: "running", maxRetries: 1 },
      {
        onEvent: ({ type, data }) => {
          seen.push(type === "state" ? data.status : type);
          if (seen.length === 1) void settle();
        },
      },
    );
    expect(await watched).to.include({ status: "running" });
    // The clock passes the interval too, which may repeat the state in between.
    expect(seen.filter((status, index) => status !== seen[index - 1])).to.deep.equal([
      "updating",
      "running",
      "complete",
    ]);
  });

  it("repeats the state every interval and ends with a timeout", async () => {
    const response = await open("target=stopped&interval=5&timeout=10");
    expect(response.headers.get("content-type")).to.include("text/event-stream");
    const [reader] = [response.body?.getReader()];
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const chunk = await reader?.read();
      if (!chunk || chunk.done) break;
      text += decoder.decode(chunk.value);
      clock.advance(5000);
    }
    const events = text.split("\n\n").filter((event) => event !== "");
    expect(events.map((event) => event.split("\n")[0])).to.deep.equal([
      "event: state",
      "event: state",
      "event: state",
      "event: timeout",
    ]);
    for (const event of events) expect(() => JSON.parse(event.split("\ndata: ")[1] ?? "")).to.not.throw();
  });

  it("allows five streams per user, and another one when one has ended", async () => {
    const gone = new AbortController();
    const streams = await Promise.all(Array.from({ length: 5 }, () => open("target=stopped", gone.signal)));
    expect(streams.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200, 200]);
    const sixth = await open("target=stopped");
    expect(sixth.status).to.equal(429);
    expect(sixth.headers.get("retry-after")).to.equal("5");
    gone.abort();
    for (let attempt = 0; ; attempt += 1) {
      const again = await open("target=running");
      if (again.status === 200) {
        expect(await again.text()).to.include("event: complete");
        break;
      }
      if (attempt === 100) throw new Error("The streams were not given back.");
    }
  });

  it("refuses times out of range, and unknown CVMs", async () => {
    for (const query of ["interval=4", "interval=31", "timeout=9", "timeout=601", "timeout=soon"]) {
      expect((await open(query)).status, query).to.equal(422);
    }
    cvm = { ...cvm, id: "cvm_nowhere" };
    expect((await open("target=running")).status).to.equal(404);
  });

  it("ends open streams when the cloud stops", async () => {
    const cloud = await startMockCloud({ ...platformOf(world.dstack), clock });
    const there = { ...world, cloud };
    const other = await createOffChainCvm(there, {
      settle: async () => {
        clock.advance(rolloverMs);
        await cloud.whenIdle();
      },
    });
    const headers = { Accept: "text/event-stream", "X-API-Key": apiKey };
    const response = await fetch(`${cloud.baseUrl}/cvms/${other.id}/state?target=stopped`, { headers });
    const text = response.text().catch(() => "cut off");
    await cloud.close();
    expect(await text).to.be.a("string");
  });
});
