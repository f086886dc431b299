import { createHash } from "node:crypto";
import {
  getAppAttestation,
  getAppRevisionDetail,
  getAppRevisions,
  getCvmAttestation,
  refreshCvmInstanceId,
  refreshCvmInstanceIds,
} from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { latestOfficialScript, officialScripts } from "../../../../src/mock-cloud/services/pre-launch-script.ts";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  officialClient,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";

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

  async function prepareUpdate(docker_compose_file = nextCompose) {
    const headers = { "X-Prepare-Only": "true" };
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file }, headers });
    const details = answer.body.details as { field: string; value: unknown }[];
    const token = details.find(({ field }) => field === "commit_token")?.value;
    return { compose_hash: String(answer.body.compose_hash), token };
  }

  const redeploy = (revision: unknown, body: object = {}, headers: Record<string, string> = {}) =>
    request(world.cloud, "POST", `/apps/${appId}/revisions/${revision}/redeploy`, { body, headers });

  async function revisionOf(composeHash: string) {
    const { body } = await request(world.cloud, "GET", `/apps/${appId}/revisions`);
    const revisions = body.revisions as { revision_id: string; compose_hash: string }[];
    return revisions.find(({ compose_hash }) => compose_hash === composeHash)?.revision_id;
  }

  it("deploys a revision to the other CVMs of an off-chain app, as the Terraform provider asks for it", async () => {
    cvm = await createOffChainCvm(world);
    appId = cvm.appId.slice(2);
    const replicas = await Promise.all(
      [1, 2].map(() => request(world.cloud, "POST", `/cvms/${cvm.id}/replicas`, { body: {} })),
    );
    const vm_uuids = replicas.map(({ body }) => String(body.vm_uuid));
    const body = { docker_compose_file: nextCompose };
    expect((await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body })).status).to.equal(202);
    await world.cloud.whenIdle();
    const { body: detail } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    const composeHash = String(detail.compose_hash);
    const revision = await revisionOf(composeHash);
    const [first = ""] = vm_uuids;
    const answer = await redeploy(revision, { vm_uuids: [...vm_uuids, first] });
    expect([answer.status, answer.body.status], answer.text).to.deep.equal([202, "in_progress"]);
    expect(answer.body.operations).to.have.lengthOf(2);
    await world.cloud.whenIdle();
    for (const uuid of vm_uuids) {
      const replica = await request(world.cloud, "GET", `/cvms/${uuid}`);
      expect(replica.body).to.include({ compose_hash: composeHash, status: "running" });
    }
    expect((await redeploy(revision)).body).to.deep.include({ status: "no_change", operations: [] });
    expect((await redeploy(revision, { vm_uuids: ["unknown-cvm"] })).status).to.equal(404);
    expect((await redeploy("rev_0")).status).to.equal(404);
  });

  it("deploys a revision of an on-chain app only once its hash is allowed", async () => {
    const compose_hash = await propose();
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    const confirmation = { "X-Compose-Hash": compose_hash, "X-Transaction-Hash": transaction_hash };
    await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: {}, headers: confirmation });
    await world.cloud.whenIdle();
    const first = cvm.composeHash.slice(2);
    await removeComposeHash(world.dstack.client, {
      account: world.dstack.owner,
      appId: cvm.appId,
      composeHash: cvm.composeHash,
    });
    const revision = await revisionOf(first);
    const refused = await redeploy(revision);
    expect([refused.status, refused.body.compose_hash], refused.text).to.deep.equal([465, first]);
    expect((await redeploy(revision, {}, confirmation)).status).to.equal(466);
    const registered = await registerHash(world, cvm.appId, first);
    const accepted = await redeploy(revision, {}, { "X-Compose-Hash": first, "X-Transaction-Hash": registered });
    expect(accepted.status, accepted.text).to.equal(202);
    await world.cloud.whenIdle();
    expect((await request(world.cloud, "GET", `/cvms/${cvm.id}`)).body).to.include({ compose_hash: first });
  });

  it("gives a new CVM the cloud's own script, and upgrades an older one in two phases", async () => {
    const read = () => request(world.cloud, "GET", `/cvms/${cvm.id}/pre-launch-script/upgrade-status`);
    const upgrade = (headers: Record<string, string> = {}) =>
      request(world.cloud, "POST", `/cvms/${cvm.id}/pre-launch-script/upgrade-to-latest-official`, { headers });
    async function replaceScript(script: string) {
      const { body } = await request(world.cloud, "PATCH", `/cvms/${cvm.id}/pre-launch-script`, {
        body: { pre_launch_script: script },
      });
      const hash = String(body.compose_hash);
      const headers = { "X-Compose-Hash": hash, "X-Transaction-Hash": await registerHash(world, cvm.appId, hash) };
      await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: {}, headers });
      await world.cloud.whenIdle();
    }
    const [oldest, latest] = [officialScripts[0], latestOfficialScript].map((script) =>
      createHash("sha256").update(script).digest("hex"),
    );
    const official = { latest_official_hash: latest, is_official: true };
    expect((await read()).body).to.deep.equal({
      ...official,
      current_hash: latest,
      is_latest: true,
      can_upgrade: false,
    });
    expect((await upgrade()).body).to.include({ status: "no_change" });

    await replaceScript(officialScripts[0]);
    expect((await read()).body).to.deep.equal({
      ...official,
      current_hash: oldest,
      is_latest: false,
      can_upgrade: true,
    });
    const proposed = await upgrade();
    expect(proposed.status, proposed.text).to.equal(465);
    const hash = String(proposed.body.compose_hash);
    expect(hash).to.equal(cvm.composeHash.slice(2));
    const done = await upgrade({ "X-Compose-Hash": hash, "X-Transaction-Hash": "already-registered" });
    expect(done.status, done.text).to.equal(202);
    await world.cloud.whenIdle();
    expect((await read()).body).to.include({ is_latest: true });

    await replaceScript("echo mine");
    expect((await read()).body).to.include({ is_official: false, can_upgrade: false });
    expect((await upgrade()).body).to.include({ error_code: "ERR-02-009" });
    await replaceScript("");
    expect((await read()).body).to.include({ current_hash: null, is_official: false, can_upgrade: false });
  });

  it("keeps no script when a new CVM asks for none", async () => {
    const compose_file = { docker_compose_file: nextCompose, pre_launch_script: "" };
    const provisioned = await request(world.cloud, "POST", "/cvms/provision", {
      body: { name: "without-script", compose_file, kms: "PHALA" },
    });
    const { app_id, compose_hash } = provisioned.body;
    const created = await request(world.cloud, "POST", "/cvms", { body: { app_id, compose_hash } });
    const script = await request(world.cloud, "GET", `/cvms/${created.body.vm_uuid}/pre-launch-script`);
    expect([script.status, script.text]).to.deep.equal([200, ""]);
  });

  const preview = (hash: string, id: string = cvm.id) =>
    request(world.cloud, "GET", `/apps/${appId}/pending-updates/${id}/${hash}/preview`);

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

  it("shows a pending document and the one in force, until the first is committed", async () => {
    const { compose_hash, token } = await prepareUpdate();
    const { body } = await preview(compose_hash);
    expect(body).to.include({ kind: "update", has_commit_token: true });
    const { current, pending } = body as Record<"current" | "pending", Record<string, string>>;
    expect(sha256(String(current.compose_file))).to.equal(cvm.composeHash.slice(2));
    expect(sha256(String(pending.compose_file))).to.equal(compose_hash);
    const unasked = await preview("ab".repeat(32));
    expect(unasked.status).to.equal(404);
    expect(unasked.body).to.include({ error_code: "ERR-01-404" });
    expect((await preview("ab")).status).to.equal(422);
    expect((await preview(compose_hash, "cvm_nowhere")).body).to.include({ error_code: "ERR-03-001" });
    const other = await createOnChainCvm(world);
    expect((await preview(compose_hash, other.id)).body, "another app's").to.include({ error_code: "ERR-03-001" });

    await registerHash(world, cvm.appId, compose_hash);
    expect((await preview(compose_hash)).status, "registered, not committed").to.equal(200);
    const committed = await request(world.cloud, "POST", `/cvms/${cvm.id}/commit-update`, { body: { token } });
    expect(committed.status, committed.text).to.equal(200);
    expect((await preview(compose_hash)).body).to.include({ error_code: "ERR-01-404" });
    await world.cloud.whenIdle();
  });

  it("shows an update without a token, until a newer one supersedes it", async () => {
    const compose_hash = await propose();
    expect((await preview(compose_hash)).body).to.include({ kind: "update", has_commit_token: false });
    const newer = await prepareUpdate("services:\n  app:\n    image: nginx:3\n");
    expect((await preview(compose_hash)).status).to.equal(404);
    expect((await preview(newer.compose_hash)).status).to.equal(200);
  });

  it("shows a pending document no longer when its token has expired", async () => {
    const clock = manualClock();
    const late = await startCloudWorld(await network.create("local"), { clock });
    const { id, appId } = await createOnChainCvm(late);
    const headers = { "X-Prepare-Only": "true" };
    const body = { docker_compose_file: nextCompose };
    const update = await request(late.cloud, "PATCH", `/cvms/${id}`, { body, headers });
    const instance = await request(late.cloud, "POST", `/cvms/${id}/replicas`, { body: {}, headers });
    const statuses = () =>
      Promise.all(
        [update, instance].map(async ({ body: { compose_hash } }) => {
          const path = `/apps/${appId}/pending-updates/${id}/${compose_hash}/preview`;
          return (await request(late.cloud, "GET", path)).status;
        }),
      );
    clock.advance(14 * 24 * 60 * 60 * 1000 - 1);
    expect(await statuses()).to.deep.equal([200, 200]);
    clock.advance(1);
    expect(await statuses()).to.deep.equal([404, 404]);
    await late.cloud.close();
  });

  it("shows the document of a prepared replica or instance, while its original exists", async () => {
    const headers = { "X-Prepare-Only": "true" };
    const replica = await request(world.cloud, "POST", `/cvms/${cvm.id}/replicas`, { body: { node_id: 1 }, headers });
    expect(replica.status).to.equal(465);
    expect((await preview(cvm.composeHash)).body).to.include({ kind: "instance", has_commit_token: true });

    const instance = await request(world.cloud, "POST", `/apps/${appId}/instances`, {
      body: { docker_compose_file: nextCompose, node_id: 1 },
    });
    const compose_hash = String(instance.body.compose_hash);
    expect((await preview(compose_hash)).body).to.include({ kind: "instance" });
    await registerHash(world, cvm.appId, compose_hash);
    const body = { token: instance.body.commit_token };
    const committed = await request(world.cloud, "POST", `/apps/${appId}/instances`, { body });
    expect(committed.status, committed.text).to.equal(200);
    await world.cloud.whenIdle();
    expect((await preview(compose_hash)).status, "committed").to.equal(404);

    await request(world.cloud, "DELETE", `/cvms/${cvm.id}`);
    expect((await preview(cvm.composeHash)).status, "its CVM is gone").to.equal(404);
    const late = { token: replica.body.commit_token };
    const orphan = await request(world.cloud, "POST", `/apps/${appId}/instances`, { body: late });
    expect(orphan.status, orphan.text).to.equal(466);
  });

  it("attests the exact document, with events that give the register's value", async () => {
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

  it("attests every instance of an app, on both kinds of KMS", async () => {
    const client = officialClient(world.cloud);
    await request(world.cloud, "POST", `/cvms/${cvm.id}/replicas`, { body: { node_id: 1 } });
    await world.cloud.whenIdle();
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await world.cloud.whenIdle();
    const { instances, ...app } = await getAppAttestation(client, { appId });
    expect(app).to.deep.include({ app_id: appId, contract_address: cvm.appId });
    expect(app.kms_info).to.include({ chain_id: "8453", contract_address: world.dstack.kms.toLowerCase() });
    expect(instances.map(({ status, tcb_info, error }) => [status, tcb_info === null, error === null])).to.deep.equal([
      ["stopped", true, false],
      ["running", false, true],
    ]);
    expect(sha256(String(instances[1]?.tcb_info?.app_compose))).to.equal(cvm.composeHash.slice(2));

    const offChain = await createOffChainCvm(world);
    const { body } = await request(world.cloud, "GET", `/cvms/${offChain.id}`);
    const other = await getAppAttestation(client, { appId: String(body.app_id) });
    expect(other).to.deep.include({ contract_address: "" });
    expect(other.kms_info).to.include({ chain_id: null });
    expect((await request(world.cloud, "GET", `/apps/${"11".repeat(20)}/attestations`)).status).to.equal(404);
  });

  it("finds recorded instance ids", async () => {
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
