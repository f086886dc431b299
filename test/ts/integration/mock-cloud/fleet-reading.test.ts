import {
  getAppCvms,
  getAppFilterOptions,
  getAppInfo,
  getAppList,
  getCvmContainersStats,
  getCvmNetwork,
  getCvmStats,
  getCvmStatusBatch,
  getWorkspaceNodes,
  getWorkspaceQuotas,
  listFamilyInstanceTypes,
  safeListFamilyInstanceTypes,
} from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { cvmCreateResourcesSchema } from "../../../../src/cloud/protocol.ts";
import {
  apiKey,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  officialClient,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const otherKey = "the-other-key";

describe("lists, guests and catalogues", () => {
  let world: CloudWorld;
  let first: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"), {
      deviceLogin: true,
      workspaces: [
        { name: "Test", apiKeys: [{ key: apiKey, username: "tess", email: "tess@example.com" }] },
        { name: "Other", apiKeys: [{ key: otherKey }] },
      ],
    });
    first = await createOnChainCvm(world, { name: "first-cvm" });
    await createOffChainCvm(world, { name: "second-cvm", nodeId: 2 });
  });
  after(() => world.cloud.close());

  const get = (path: string, headers: Record<string, string> = {}) => request(world.cloud, "GET", path, { headers });
  const namesOf = (body: Record<string, unknown>, key = "items") =>
    (body[key] as { name: string }[]).map(({ name }) => name);

  for (const version of ["2025-10-28", "2026-01-21"] as const) {
    it(`lists apps and CVMs for the official client at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const apps = await getAppList(client, { page: 1, page_size: 50 });
      expect(apps).to.include({ page: 1, page_size: 50, total: 2, total_pages: 1 });
      expect(apps.dstack_apps.map(({ name }) => name)).to.deep.equal(["second-cvm", "first-cvm"]);
      expect(apps.dstack_apps[1]).to.deep.equal(await getAppInfo(client, { appId: first.appId.slice(2) }));
      expect(apps.dstack_apps[1]).to.include({ app_id: first.appId.slice(2), kms_type: "base", cvm_count: 1 });
      expect(await getAppCvms(client, { appId: first.appId.slice(2) })).to.have.length(1);
      const cvms = await client.getCvmList({ page: 1, page_size: 1 });
      expect(cvms).to.include({ total: 2, pages: 2 });
      expect(cvms.items[0]?.name).to.equal("second-cvm");
      expect(namesOf((await get("/cvms/paginated?node_id=1")).body)).to.deep.equal(["first-cvm"]);
      expect((await getAppFilterOptions(client)).kms_slugs).to.deep.equal(["kms-base-1", "kms-phala-1"]);
    });

    it(`reads the guest and the platform for the official client at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const id = first.id;
      expect(await getCvmStats(client, { id })).to.include({ is_online: true, status: "running", error: null });
      expect((await getCvmStats(client, { id })).sysinfo).to.include({ num_cpus: 1, total_memory: 2048 * 1024 ** 2 });
      expect(await getCvmNetwork(client, { id })).to.include({ is_online: true });
      const { containers } = await getCvmContainersStats(client, { id });
      expect(containers?.[0]).to.deep.include({ image: "nginx:1", names: ["/dstack-app-1"], state: "running" });

      const { nodes, kms_list } = await client.getAvailableNodes();
      expect(nodes.map(({ teepod_id, name }) => [teepod_id, name])).to.deep.equal([
        [1, "node-1"],
        [2, "node-2"],
        [3, "node-3"],
      ]);
      expect(nodes[0]).to.include({ device_id: world.dstack.deviceId.slice(2), default_kms: "kms-phala-1" });
      expect(nodes[0]?.images[0]?.version).to.deep.equal([0, 5, 7]);
      expect(kms_list).to.have.length(2);
      expect((await getWorkspaceNodes(client, { teamSlug: "test" })).items[1]).to.include({ id: 2, name: "node-2" });

      const { result } = await client.listAllInstanceTypeFamilies();
      const [family] = result;
      expect(family?.items[0]).to.include({ id: "tdx.small", vcpu: 1, memory_mb: 2048 });
      expect(await listFamilyInstanceTypes(client, { family: "cpu" })).to.include({ total: family?.total });
      expect((await safeListFamilyInstanceTypes(client, { family: "moon" })).error).to.include({ status: 404 });
      expect(namesOf({ ...(await client.getOsImages({ is_dev: false })) })).to.include("dstack-0.5.7");

      const { data } = await client.listWorkspaces();
      expect(data.map(({ slug }) => slug)).to.deep.equal(["test"]);
      expect(await client.getWorkspace("test")).to.include({ name: "Test" });
      const { quotas } = await getWorkspaceQuotas(client, { teamSlug: "test" });
      expect(quotas.vm_slots.limit - quotas.vm_slots.remaining).to.equal(2);
    });
  }

  it("filters apps by the properties of their CVMs", async () => {
    const filters: [string, string[]][] = [
      ["search=SECOND", ["second-cvm"]],
      [`search=${first.appId}`, ["first-cvm"]],
      ["status=running&status=stopped", ["second-cvm", "first-cvm"]],
      ["status[]=stopped", []],
      ["listed=true", []],
      ["kms_type=base", ["first-cvm"]],
      ["kms_slug=kms-phala-1", ["second-cvm"]],
      ["node=node-2", ["second-cvm"]],
      ["node=2&kms_type=base", []],
      ["region=local&instance_type=tdx.small&base_image=dstack-0.5.7", ["second-cvm", "first-cvm"]],
      ["page=2&page_size=1", ["first-cvm"]],
    ];
    for (const [query, names] of filters) {
      expect(namesOf((await get(`/apps?${query}`)).body, "dstack_apps"), query).to.deep.equal(names);
    }
  });

  it("shows a workspace only its own objects", async () => {
    const headers = { "X-API-Key": otherKey };
    expect((await get("/apps", headers)).body).to.deep.include({ dstack_apps: [], total: 0 });
    expect((await get("/cvms/paginated", headers)).body).to.deep.include({ items: [] });
    expect((await get(`/apps/${first.appId}`, headers)).body).to.include({ error_code: "ERR-03-001" });
    expect((await get("/workspaces/test", headers)).status).to.equal(404);
    expect((await get("/workspaces/test/quotas", headers)).status).to.equal(404);
    expect((await get("/apps/not-an-app")).status).to.equal(404);
  });

  it("returns the states of many CVMs under the UUIDs as they were sent", async () => {
    const { body } = await get(`/cvms/${first.id}`);
    const uuid = String(body.vm_uuid);
    const bare = uuid.replaceAll("-", "").toUpperCase();
    const states = await getCvmStatusBatch(officialClient(world.cloud), { vmUuids: [uuid, bare, "nothing"] });
    expect(states).to.have.keys(uuid, bare);
    expect(states[bare]).to.include({ vm_uuid: uuid, status: "running", in_progress: false });
    const tooMany = { body: { vm_uuids: Array.from({ length: 101 }, () => uuid) } };
    expect((await request(world.cloud, "POST", "/status/batch", tooMany)).status).to.equal(422);
  });

  it("lists instance types, images and nodes for a CVM", async () => {
    const graph = cvmCreateResourcesSchema.parse((await get("/teepods/cvm-create-resources")).body);
    expect(graph.node_kms_relations).to.have.length(6);
    expect(graph.kms_nodes.map(({ kms_type }) => kms_type)).to.deep.equal(["phala", "base"]);
  });

  it("keeps a user's SSH keys", async () => {
    const client = officialClient(world.cloud);
    const public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@home";
    const key = await client.createSshKey({ name: "laptop", public_key });
    expect(key).to.include({ name: "laptop", public_key, key_type: "ssh-ed25519", source: "manual" });
    expect(key.fingerprint).to.match(/^SHA256:[A-Za-z0-9+/]{43}$/);
    expect(await client.listSshKeys()).to.deep.equal([key]);
    expect((await get("/user/ssh-keys", { "X-API-Key": otherKey })).text).to.equal("[]");
    const post = (body: object) => request(world.cloud, "POST", "/user/ssh-keys", { body });
    expect((await post({ name: "again", public_key })).status).to.equal(409);
    for (const broken of ["nonsense", "ssh-rsa AAAA", public_key.replace("ssh-ed25519", "ssh-rsa")]) {
      expect((await post({ name: "broken", public_key: broken })).status, broken).to.equal(422);
    }
    expect(await client.importGithubProfileSshKeys({ github_username: "octocat" })).to.include({ keys_added: 0 });
    expect(await client.syncGithubSshKeys()).to.include({ synced_count: 0 });
    await client.deleteSshKey({ keyId: key.id });
    expect(await client.listSshKeys()).to.deep.equal([]);
    expect((await request(world.cloud, "DELETE", `/user/ssh-keys/${key.id}`)).status).to.equal(404);
  });

  it("logs a device in without a key, once per code", async () => {
    const post = async (path: string, body: object) => {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(`${world.cloud.baseUrl}${path}`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const code = await post("/auth/device/code", { client_id: "phala-cli", scope: "user:profile" });
    expect(code.body.user_code).to.match(/^[A-Z]{4}-[A-Z]{4}$/);
    expect((await fetch(String(code.body.verification_uri_complete))).status).to.equal(200);
    const grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    const token = await post("/auth/device/token", { device_code: code.body.device_code, grant_type });
    const me = await get("/auth/me", { "X-API-Key": String(token.body.access_token) });
    expect(me.body).to.have.nested.property("user.username", "tess");
    const again = await post("/auth/device/token", { device_code: code.body.device_code, grant_type });
    expect(again.status).to.equal(400);
    expect(again.body).to.have.nested.property("detail.error", "invalid_grant");
    expect((await post("/auth/device/token", { device_code: "x", grant_type: "password" })).status).to.equal(422);
  });
});
