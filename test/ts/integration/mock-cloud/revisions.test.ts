import { createHash } from "node:crypto";
import {
  getAppRevisionDetail,
  getAppRevisions,
  getCvmAttestation,
  refreshCvmInstanceId,
  refreshCvmInstanceIds,
} from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import {
  type CloudWorld,
  createOnChainCvm,
  officialClient,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";

describe("revisions, attestation and instance ids", () => {
  let world: CloudWorld;
  let cvm: TestCvm;
  let appId: string;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world);
    appId = cvm.appId.slice(2);
  });

  async function propose() {
    const body = { docker_compose_file: nextCompose };
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    return String(answer.body.compose_hash);
  }

  it("keeps every accepted change as a revision, with its document's exact text", async () => {
    const client = officialClient(world.cloud);
    const compose_hash = await propose();
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: { compose_hash, transaction_hash } });
    await world.cloud.whenIdle();
    await request(world.cloud, "POST", `/cvms/${cvm.id}/restart`);
    await world.cloud.whenIdle();

    const { revisions, total } = await getAppRevisions(client, { appId });
    expect(total).to.equal(2);
    expect(revisions.map((revision) => [revision.operation_type, revision.compose_hash])).to.deep.equal([
      ["update", compose_hash],
      ["create", cvm.composeHash.slice(2)],
    ]);
    const second = await getAppRevisions(client, { appId, page: 2, page_size: 1 });
    expect(second).to.include({ page: 2, page_size: 1, total_pages: 2 });
    const [created] = second.revisions;
    const revisionId = String(created?.revision_id);
    const raw = await getAppRevisionDetail(client, { appId, revisionId, rawComposeFile: true });
    expect(sha256(String(raw.compose_file))).to.equal(cvm.composeHash.slice(2));
    const parsed = await getAppRevisionDetail(client, { appId, revisionId });
    expect(parsed.compose_file).to.be.an("object");
    expect((await request(world.cloud, "GET", `/apps/${appId}/revisions/rev_0`)).status).to.equal(404);
    expect((await request(world.cloud, "GET", `/apps/${"11".repeat(20)}/revisions`)).status).to.equal(404);
    expect((await request(world.cloud, "GET", `/apps/${appId}/revisions?page=0`)).status).to.equal(422);
  });

  it("shows a pending document beside the one in force", async () => {
    const compose_hash = await propose();
    const { body: detail } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    const path = (hash: string) => `/apps/${appId}/pending-updates/${detail.vm_uuid}/${hash}/preview`;
    const { body } = await request(world.cloud, "GET", path(compose_hash));
    const { current, pending } = body as Record<"current" | "pending", Record<string, string>>;
    expect(sha256(String(current.compose_file))).to.equal(cvm.composeHash.slice(2));
    expect(sha256(String(pending.compose_file))).to.equal(compose_hash);
    expect((await request(world.cloud, "GET", path("ab".repeat(32)))).status).to.equal(404);
    expect((await request(world.cloud, "GET", path("ab"))).status).to.equal(422);
  });

  it("attests the exact document, with events that replay to the register", async () => {
    const client = officialClient(world.cloud);
    const { is_online, tcb_info } = await getCvmAttestation(client, { id: cvm.id });
    if (!tcb_info) throw new Error("expected measurements");
    expect(is_online).to.equal(true);
    expect(sha256(tcb_info.app_compose)).to.equal(cvm.composeHash.slice(2));
    const replayed = tcb_info.event_log.reduce(
      (register, { digest }) =>
        createHash("sha384")
          .update(Buffer.from(register + digest, "hex"))
          .digest("hex"),
      "00".repeat(48),
    );
    expect(replayed).to.equal(tcb_info.rtmr3);
    expect(tcb_info.event_log.find(({ event }) => event === "compose-hash")?.event_payload).to.equal(
      cvm.composeHash.slice(2),
    );
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await world.cloud.whenIdle();
    expect(await getCvmAttestation(client, { id: cvm.id })).to.include({ is_online: false, tcb_info: null });
  });

  it("finds instance ids as they are on record", async () => {
    const client = officialClient(world.cloud);
    const one = await refreshCvmInstanceId(client, { id: cvm.id, dry_run: true, overwrite: true });
    expect(one).to.include({ status: "unchanged", source: "teepod_state" });
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await world.cloud.whenIdle();
    expect(await refreshCvmInstanceIds(client, { cvm_ids: [cvm.id] })).to.include({ total: 1, scanned: 1, skipped: 1 });
    expect(await refreshCvmInstanceIds(client, { cvm_ids: [cvm.id], running_only: true })).to.include({ scanned: 0 });
    const headers = { "X-Phala-Version": "2026-06-23" };
    const { body } = await request(world.cloud, "PATCH", `/cvms/${cvm.id}/instance-id`, { body: {}, headers });
    expect(body).to.include({ cvm_id: cvm.id });
    const patch = (body: unknown) => request(world.cloud, "PATCH", "/cvms/instance-ids", { body });
    expect((await patch({ cvm_ids: ["cvm_nowhere"] })).status).to.equal(404);
    expect((await patch({ limit: 501 })).status).to.equal(422);
  });
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
