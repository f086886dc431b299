import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "chai";
import { hashAppComposeText } from "../../../../src/core/compose-hash.ts";
import { createRandom } from "../../../../src/mock-cloud/faults/faults.ts";
import { type CloudProcess, startCloudProcess, untilRunning } from "../../../support/mock-cloud/cloud-process.ts";
import { apiKey, createOffChainCvm, request } from "../../../support/mock-cloud/cloud-world.ts";
import { offChainPlatform } from "../../../support/mock-cloud/off-chain-platform.ts";
import { until } from "../../../support/until.ts";

/** They decide the clients' requests and when the process is killed, but not what it does at that moment. */
const seeds = [1, 2, 3, 4, 5];
const clientCount = 8;

/** The requests that the cloud has acknowledged. */
interface Acknowledged {
  readonly operations: Set<string>;
  readonly created: Set<string>;
  readonly deleted: Set<string>;
}

describe("a mock cloud that is killed at any moment under load", function () {
  this.timeout(120_000);
  let folder: string;
  let stateFile: string;
  let cloud: CloudProcess | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    stateFile = join(folder, "cloud.db");
    const { kms, nodes, osImages } = offChainPlatform();
    writeFileSync(join(folder, "seed.json"), JSON.stringify({ kms, nodes, osImages }));
  });
  afterEach(async () => {
    await cloud?.stop("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  async function start(): Promise<CloudProcess> {
    const args = ["--seed", join(folder, "seed.json"), "--state", stateFile, "--rollover-ms", "5", "--quiet"];
    cloud = await startCloudProcess({ args, env: { DSTACK_CLOUD_API_KEY: apiKey } });
    return cloud;
  }

  it("keeps every write that it acknowledged, and no part of another", async () => {
    const acknowledged: Acknowledged = {
      operations: new Set(),
      created: new Set(),
      deleted: new Set(),
    };
    const unanswered = new Set<string>();
    const first = await start();
    // No server listens there, so that no delivery ever succeeds.
    const events = ["cvm.created", "cvm.started", "cvm.updated", "cvm.restarted", "cvm.deleted"];
    await request(first, "POST", "/workspace/webhooks", { body: { url: "http://127.0.0.1:9/", events } });

    for (const seed of seeds) {
      const running = seed === seeds[0] ? first : await start();
      const random = createRandom(seed);
      const wanted = countOf(acknowledged) + 10 + Math.floor(random() * 40);
      const clients = Array.from({ length: clientCount }, (_, index) =>
        work(running, createRandom(seed * 100 + index), acknowledged, unanswered),
      );
      await until(() => countOf(acknowledged) >= wanted);
      await wait(random() * 20);
      await running.stop("SIGKILL");
      await Promise.all(clients);
      inspect(stateFile, acknowledged);
    }
    for (const [kind, ids] of Object.entries(acknowledged)) expect(ids.size, kind).to.be.greaterThan(0);

    const last = await start();
    const alive = [...acknowledged.created].filter((id) => !acknowledged.deleted.has(id) && !unanswered.has(id));
    for (const id of alive) await untilRunning(last, id);
    for (const id of acknowledged.deleted) expect((await request(last, "GET", `/cvms/${id}`)).status).to.equal(404);
  });
});

function countOf({ operations, created, deleted }: Acknowledged): number {
  return operations.size + created.size + deleted.size;
}

/**
 * One client: creates CVMs and makes random requests for them, until the cloud is gone.
 *
 * @param unanswered takes the CVMs that may be deleted or not: the cloud was killed before it said
 */
async function work(
  cloud: CloudProcess,
  random: () => number,
  acknowledged: Acknowledged,
  unanswered: Set<string>,
): Promise<void> {
  const own: string[] = [];
  const pick = () => own[Math.floor(random() * own.length)] ?? "";
  try {
    for (let turn = 0; ; turn += 1) {
      const choice = random();
      if (own.length === 0 || choice < 0.2) {
        const { id } = await createOffChainCvm({ cloud }, { settle: async () => {} });
        acknowledged.created.add(id);
        own.push(id);
      } else if (choice < 0.3 && own.length > 1) {
        const id = pick();
        unanswered.add(id);
        const { status } = await request(cloud, "DELETE", `/cvms/${id}`);
        unanswered.delete(id);
        if (status === 204) {
          acknowledged.deleted.add(id);
          own.splice(own.indexOf(id), 1);
        }
      } else if (choice < 0.4) {
        await request(cloud, "POST", `/cvms/${pick()}/restart`);
      } else {
        const docker_compose_file = `services:\n  app:\n    image: nginx:${turn}\n`;
        const { status, body } = await request(cloud, "PATCH", `/cvms/${pick()}`, { body: { docker_compose_file } });
        if (status === 202 && body.status === "in_progress") acknowledged.operations.add(String(body.correlation_id));
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch, of a server that is gone
  }
}

/** Opens the file as the killed process left it. */
function inspect(stateFile: string, acknowledged: Acknowledged): void {
  const database = new DatabaseSync(stateFile);
  const all = (sql: string) => database.prepare(sql).all();
  const texts = (sql: string) => new Set(all(sql).map((row) => String(Object.values(row)[0])));
  try {
    expect(all("PRAGMA integrity_check").map((row) => Object.values(row))).to.deep.equal([["ok"]]);
    expect(all("PRAGMA foreign_key_check")).to.deep.equal([]);

    expect([...texts("SELECT correlation_id FROM operation")]).to.include.members([...acknowledged.operations]);
    expect([...texts("SELECT hashid FROM cvm")]).to.include.members([...acknowledged.created]);
    const deleted = texts("SELECT hashid FROM cvm WHERE deleted_at IS NOT NULL");
    expect([...deleted]).to.include.members([...acknowledged.deleted]);

    expect(
      all("SELECT id FROM cvm WHERE id NOT IN (SELECT cvm_id FROM operation WHERE kind = 'create')"),
      "CVMs that no operation created",
    ).to.deep.equal([]);
    expect(
      all(`SELECT cvm.hashid, cvm.status FROM cvm WHERE deleted_at IS NULL AND (status IN ('running', 'stopped', 'error'))
        = EXISTS (SELECT 1 FROM operation WHERE cvm_id = cvm.id AND state = 'running')`),
      "CVMs whose status and operations disagree",
    ).to.deep.equal([]);
    expect(
      all(`SELECT cvm.hashid FROM cvm WHERE compose_hash <> (SELECT compose_hash FROM operation
        WHERE cvm_id = cvm.id AND (kind = 'create' OR kind = 'update' AND state = 'done') ORDER BY id DESC LIMIT 1)`),
      "CVMs that run what no finished operation brought",
    ).to.deep.equal([]);
    for (const { compose_hash, compose_text } of all("SELECT compose_hash, compose_text FROM cvm")) {
      expect(hashAppComposeText(String(compose_text))).to.equal(compose_hash);
    }
    expect(
      all(`SELECT kind, correlation_id FROM operation WHERE
        kind = 'create' AND 'cvm.created ' || correlation_id NOT IN (SELECT cause FROM webhook_delivery)
        OR kind = 'create' AND state = 'done' AND 'cvm.started ' || correlation_id NOT IN (SELECT cause FROM webhook_delivery)
        OR kind = 'update' AND state = 'done' AND 'cvm.updated ' || correlation_id NOT IN (SELECT cause FROM webhook_delivery)
        OR kind = 'restart' AND state = 'done' AND 'cvm.restarted ' || correlation_id NOT IN (SELECT cause FROM webhook_delivery)
        OR kind = 'delete' AND 'cvm.deleted ' || correlation_id NOT IN (SELECT cause FROM webhook_delivery)`),
      "operations that no webhook will hear of",
    ).to.deep.equal([]);
  } finally {
    database.close();
  }
}
