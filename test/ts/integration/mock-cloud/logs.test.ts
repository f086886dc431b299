import { expect } from "chai";
import { network } from "hardhat";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

describe("logs of a CVM", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
    cvm = await createOnChainCvm(world);
  });
  after(() => world.cloud.close());

  /** As `phala logs` does: without a key, and with flags that have no value. */
  async function read(url: string) {
    const answer = await fetch(url);
    return { status: answer.status, text: await answer.text() };
  }
  async function guestLog(id = cvm.id): Promise<string> {
    const headers = { "X-Phala-Version": "2025-10-28" };
    const { body } = await request(world.cloud, "GET", `/cvms/${id}`, { headers });
    return String(body.syslog_endpoint);
  }
  async function containerLog(): Promise<{ url: string; id: string }> {
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}/composition`);
    const [container] = body.containers as { id: string; log_endpoint: string }[];
    return { url: String(container?.log_endpoint), id: String(container?.id) };
  }

  it("show what happened to the guest, with the reason of a refused boot", async () => {
    world.cloud.setFault({ kind: "boot-failure", cvm: cvm.id, reason: "the fan is loud" });
    await request(world.cloud, "POST", `/cvms/${cvm.id}/restart`);
    await world.cloud.whenIdle();
    world.cloud.clearFaults();
    const { status, text } = await read(`${await guestLog()}&ch=serial&ansi`);
    expect(status, text).to.equal(200);
    const lines = text.trim().split("\n");
    expect(lines[0]).to.include(`create with compose hash ${cvm.composeHash} began`);
    expect(lines.at(-1)).to.equal("restart failed: the fan is loud");
    expect((await read(`${await guestLog()}&ch=stderr&text`)).text).to.equal("");
    await request(world.cloud, "POST", `/cvms/${cvm.id}/restart`);
    await world.cloud.whenIdle();
  });

  it("show one line for each start of a container, plain or as a guest sends it", async () => {
    const { url } = await containerLog();
    const plain = await read(`${url}?text&bare&tail=1&lines=1&ansi`);
    const line = "dstack-app-1 of image nginx:1 would start now. The mock cloud starts no containers.\n";
    expect(plain).to.deep.equal({ status: 200, text: line });
    const encoded = JSON.parse((await read(`${url}?tail=1`)).text);
    expect(encoded.channel).to.equal("stdout");
    expect(Buffer.from(encoded.message, "base64").toString()).to.equal(line);
    expect((await read(`${url}?text&timestamps&tail=1`)).text).to.match(/^\d{4}-\d\d-\d\dT[\d:.]+Z dstack-app-1 /);
    expect((await read(`${url}?text&since=10m`)).text).to.include(line);
    for (const none of ["since=2999-01-01T00:00:00Z", "until=1", "tail=0"]) {
      expect(await read(`${url}?text&${none}`), none).to.deep.equal({ status: 200, text: "" });
    }
    expect((await read(`${url}?text&since=yesterday`)).status).to.equal(422);
    expect((await read(url.replace(/[^/]+$/, "unknown"))).status).to.equal(404);
  });

  it("are followed until the client leaves", async () => {
    const leaving = new AbortController();
    const answer = await fetch(`${await guestLog()}&ch=serial&text&follow`, { signal: leaving.signal });
    const reader = (answer.body ?? new ReadableStream<Uint8Array>()).getReader();
    const decoder = new TextDecoder();
    let text = "";
    const until = async (words: string) => {
      while (!text.includes(words)) text += decoder.decode((await reader.read()).value);
    };
    await until("create");
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await until("stop done");
    const others = await Promise.all(
      Array.from(
        { length: 50 },
        async () => (await fetch(`${await guestLog()}&follow`, { signal: leaving.signal })).status,
      ),
    );
    expect(others.filter((status) => status === 429)).to.have.lengthOf(1);
    leaving.abort();
    await request(world.cloud, "POST", `/cvms/${cvm.id}/start`);
    await world.cloud.whenIdle();
  });

  it("are shown only if the owner publishes them", async () => {
    const hidden = await createOffChainCvm(world);
    const url = await guestLog(hidden.id);
    const body = { public_logs: false, public_sysinfo: true };
    await request(world.cloud, "PATCH", `/cvms/${hidden.id}/visibility`, { body });
    await world.cloud.whenIdle();
    expect((await read(`${url}&ch=serial`)).status).to.equal(403);
    expect(await guestLog(hidden.id)).to.equal("null");
    expect((await read(url.replace(/logs\/[^?]+/, "logs/unknown"))).status).to.equal(404);
  });
});
