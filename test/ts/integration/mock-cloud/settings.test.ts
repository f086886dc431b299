import {
  checkAppCvmsIsAllowed,
  checkAppIsAllowed,
  checkCvmIsAllowed,
  getAppDeviceAllowlist,
  getAvailableOsImages,
  getCvmUserConfig,
  updateCvmResources,
  updateCvmVisibility,
  updateOsImage,
} from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
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

describe("settings of a CVM", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world);
  });

  const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "PATCH", `/cvms/${cvm.id}${path}`, { body, headers });
  const get = (path = "", headers: Record<string, string> = {}) =>
    request(world.cloud, "GET", `/cvms/${cvm.id}${path}`, { headers });
  async function settled() {
    await world.cloud.whenIdle();
    return (await get()).body;
  }

  it("resizes a CVM, with each form of the clients' requests", async () => {
    for (const [body, expected] of [
      [
        { id: cvm.id, vcpu: 2.0, memory: 4096.0, disk_size: 60 },
        { vcpu: 2, memory_in_gb: 4, disk_in_gb: 60 },
      ],
      [{ vcpu: 4, allow_restart: 1 }, { vcpu: 4 }],
      [
        { instance_type: "tdx.medium", vcpu: null },
        { instance_type: "tdx.medium", vcpu: 2 },
      ],
    ] as const) {
      const answer = await patch("/resources", body);
      expect(answer.status, answer.text).to.equal(202);
      expect((await settled()).resource).to.include(expected);
    }
    await updateCvmResources(officialClient(world.cloud), { id: cvm.id, memory: 8192, allow_restart: true });
    expect((await settled()).resource).to.include({ memory_in_gb: 8 });
  });

  it("shrinks no disk, on either endpoint, and names both sizes", async () => {
    for (const path of ["", "/resources"]) {
      const refused = await patch(path, { disk_size: 20 });
      expect([refused.status, refused.body.error_code], path).to.deep.equal([400, "ERR-02-008"]);
      expect(refused.body.message).to.match(/^The disk of CVM cvm-\w+ has 40 GB and cannot shrink to 20 GB\.$/);
      expect((await patch(path, { disk_size: 40 })).body).to.include({ status: "no_change" });
    }
    const proposed = await patch("", { docker_compose_file: "services: {app: {image: nginx:2}}", disk_size: 60 });
    const composeHash = String(proposed.body.compose_hash);
    expect((await patch("", { disk_size: 80 })).status).to.equal(202);
    expect((await settled()).resource).to.include({ disk_in_gb: 80 });
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const confirmation = { "X-Compose-Hash": composeHash, "X-Transaction-Hash": transactionHash };
    const late = await patch("", {}, confirmation);
    expect([late.status, late.body.message]).to.deep.equal([
      400,
      `The disk of CVM ${(await get()).body.name} has 80 GB and cannot shrink to 60 GB.`,
    ]);
    expect((await settled()).compose_hash).to.equal(cvm.composeHash.slice(2));
  });

  it("holds the limits of the instance types, on either endpoint and for a new CVM", async () => {
    const compose_file = { docker_compose_file: "services: {app: {image: nginx:2}}" };
    const provision = (size: object) =>
      request(world.cloud, "POST", "/cvms/provision", { body: { name: "sized-cvm", compose_file, ...size } });
    for (const [size, limits] of [
      [{ vcpu: 500 }, "tdx.xlarge has at most 8 vCPUs and 16384 MB of memory, not 500 vCPUs"],
      [{ memory: 1_000_000 }, "tdx.xlarge has at most 8 vCPUs and 16384 MB of memory, not 1 vCPUs and 1000000 MB"],
      [{ instance_type: "tdx.medium", vcpu: 4 }, "tdx.medium has at most 2 vCPUs"],
    ] as const) {
      for (const answer of [await patch("", size), await patch("/resources", size), await provision(size)]) {
        expect([answer.status, answer.body.error_code], answer.text).to.deep.equal([400, "ERR-02-009"]);
        expect(answer.body.message).to.include(limits);
      }
    }
    for (const [size, instance_type] of [
      [{ vcpu: 3 }, "tdx.large"],
      [{ vcpu: 1, memory: 2048 }, "tdx.large"],
      [{ instance_type: "tdx.small" }, "tdx.small"],
    ] as const) {
      expect((await patch("/resources", size)).status).to.equal(202);
      expect((await settled()).resource).to.include({ instance_type });
    }
  });

  it("lists what there is when an OS image or an instance type is unknown", async () => {
    const image = "dstack-v0.4.0";
    const compose_file = { docker_compose_file: "services: {app: {image: nginx:2}}" };
    const body = { name: "other-image", compose_file, image };
    for (const answer of [
      await patch("/os-image", { os_image_name: image }),
      await patch("", { image }),
      await patch("", { os_image_name: image }),
      await request(world.cloud, "POST", "/cvms/provision", { body }),
    ]) {
      expect([answer.status, answer.body.error_code]).to.deep.equal([400, "ERR-02-010"]);
      expect(answer.body.message).to.equal(
        "There is no OS image dstack-v0.4.0. There are: dstack-0.5.7, dstack-0.5.8.",
      );
    }
    const unknownType = await patch("/resources", { instance_type: "tdx.huge" });
    expect(unknownType.body.error_code).to.equal("ERR-02-001");
    expect(unknownType.body.suggestions).to.deep.equal([
      "Use one of these: tdx.small, tdx.medium, tdx.large, tdx.xlarge.",
    ]);
  });

  it("lists a CVM and hides it again without a restart", async () => {
    const history = world.cloud.readHistory(cvm.id).length;
    for (const listed of [true, false]) {
      const answer = await patch("/listed", { listed });
      expect([answer.status, answer.body.listed], answer.text).to.deep.equal([200, listed]);
      expect((await get()).body).to.include({ listed, status: "running", in_progress: false });
    }
    expect(world.cloud.readHistory(cvm.id)).to.have.lengthOf(history);
    expect((await patch("/listed", {})).status).to.equal(422);
  });

  it("restarts no CVM without permission, and does not restart a stopped one", async () => {
    const refused = await patch("/resources", { vcpu: 2, allow_restart: 0 });
    expect(refused.status).to.equal(400);
    expect((await patch("/resources", { allow_restart: 0 })).status).to.equal(202);
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await world.cloud.whenIdle();
    expect((await patch("/resources", { vcpu: 2, allow_restart: 0 })).status).to.equal(202);
    expect(await settled())
      .to.include({ status: "stopped" })
      .and.to.have.nested.property("resource.vcpu", 2);
  });

  it("boots another OS image if the KMS allows it, and lists the images", async () => {
    const client = officialClient(world.cloud);
    expect(await getAvailableOsImages(client, { id: cvm.id })).to.deep.equal([
      {
        version: [0, 5, 8],
        prod: { name: "dstack-0.5.8", os_image_hash: "08".repeat(32), is_current: false },
        dev: null,
      },
      {
        version: [0, 5, 7],
        prod: { name: "dstack-0.5.7", os_image_hash: world.dstack.osImageHash.slice(2), is_current: true },
        dev: null,
      },
    ]);
    await updateOsImage(client, { id: cvm.id, os_image_name: "dstack-0.5.8" });
    expect(await settled()).to.include({ base_image: "dstack-0.5.7" });
    expect((await get("/state")).body).to.include({ boot_error: "OS image is not allowed" });
    expect((await patch("/os-image", { os_image_name: "dstack-9" })).body).to.include({ error_code: "ERR-02-010" });
  });

  it("changes the visibility, a part of the document, in two phases and both encodings", async () => {
    const flags = { public_sysinfo: false, public_logs: true, public_tcbinfo: null };
    const proposed = await patch("/visibility", flags);
    expect(proposed.status, proposed.text).to.equal(465);
    const composeHash = String(proposed.body.compose_hash);
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const confirmed = await patch("/visibility", flags, {
      "X-Compose-Hash": composeHash,
      "X-Transaction-Hash": transactionHash,
    });
    expect(confirmed.status, confirmed.text).to.equal(200);
    expect(confirmed.body).to.include({ public_sysinfo: false, public_logs: true, status: "updating" });
    expect(confirmed.body.id).to.be.a("number");
    expect(await settled()).to.include({ public_sysinfo: false, compose_hash: composeHash });

    const back = { public_sysinfo: true, public_logs: true };
    const again = await patch("/visibility", back);
    const compose_hash = String(again.body.compose_hash);
    expect(compose_hash).to.equal(cvm.composeHash.slice(2));
    expect(
      (await patch("/visibility", { ...back, compose_hash, transaction_hash: "already-registered" })).status,
    ).to.equal(200);
    expect(await settled()).to.include({ public_sysinfo: true });
  });

  for (const version of ["2025-10-28", "2026-01-21"] as const) {
    it(`answers the official client's updateCvmVisibility at ${version} on an off-chain KMS`, async () => {
      cvm = await createOffChainCvm(world);
      const client = officialClient(world.cloud, version);
      const answer = await updateCvmVisibility(client, { id: cvm.id, public_sysinfo: false, public_logs: false });
      expect(answer).to.include({ public_sysinfo: false, public_logs: false });
      expect(await settled()).to.include({ public_logs: false });
    });
  }

  it("applies every setting of a PATCH", async () => {
    const user_config = JSON.stringify({ hostname: "box", ssh_authorized_keys: ["ssh-ed25519 AAAA"] });
    const answer = await patch("", {
      user_config,
      gpus: { count: 1, product_name: "H200" },
      disk_size: 80,
      os_image_name: "dstack-0.5.7",
      shutdown_timeout: 30,
      allow_force_stop: 1,
      listed: 1,
      allow_restart: true,
    });
    expect(answer.status, answer.text).to.equal(202);
    const detail = await settled();
    expect(detail).to.include({ listed: true });
    expect(detail.resource).to.include({ gpus: 1, disk_in_gb: 80 });
    const config = await getCvmUserConfig(officialClient(world.cloud), { id: cvm.id });
    expect(config).to.deep.equal({
      hostname: "box",
      ssh_authorized_keys: ["ssh-ed25519 AAAA"],
      default_gateway_domain: null,
    });
    await patch("", { user_config: "not json" });
    await world.cloud.whenIdle();
    expect((await get("/user_config")).body).to.include({ hostname: null });
  });

  it("refuses malformed settings and changes nothing", async () => {
    const before_ = await settled();
    const refusals: [path: string, body: unknown, loc: string[]][] = [
      ["/resources", { vcpu: 0.5 }, ["body", "vcpu"]],
      ["/resources", { vcpu: 1e300 }, ["body", "vcpu"]],
      ["/resources", { memory: "4096" }, ["body", "memory"]],
      ["/resources", { allow_restart: "yes" }, ["body", "allow_restart"]],
      ["/os-image", {}, ["body", "os_image_name"]],
      ["/os-image", { os_image_name: "" }, ["body", "os_image_name"]],
      ["/visibility", { public_logs: "yes" }, ["body", "public_logs"]],
      ["", { shutdown_timeout: 9 }, ["body", "shutdown_timeout"]],
      ["", { shutdown_timeout: 1201 }, ["body", "shutdown_timeout"]],
      ["", { gpus: { count: -1 } }, ["body", "gpus", "count"]],
      ["", { gpus: {} }, ["body", "gpus", "count"]],
    ];
    for (const [path, body, loc] of refusals) {
      const answer = await patch(path, body);
      expect(answer.status, answer.text).to.equal(422);
      expect(answer.body.detail).to.have.nested.property("[0].loc").that.deep.equals(loc);
    }
    expect((await patch("/resources", { instance_type: "tdx.galactic" })).body).to.include({
      error_code: "ERR-02-001",
    });
    expect((await patch("/resources", { vcpu: 2 }, { "X-API-Key": "wrong" })).status).to.equal(401);
    expect(await settled()).to.deep.equal(before_);
  });

  it("reads from the chain whether a CVM, a document and each CVM of an app may boot", async () => {
    const client = officialClient(world.cloud);
    const appId = cvm.appId.slice(2);
    const composeHash = cvm.composeHash.slice(2);
    expect(await checkCvmIsAllowed(client, { cvmId: cvm.id })).to.deep.include({
      compose_hash: composeHash,
      device_id: world.dstack.deviceId.slice(2),
      compose_hash_allowed: true,
      device_id_allowed: true,
      allow_any_device: false,
      is_allowed: true,
    });
    expect(await checkCvmIsAllowed(client, { cvmId: cvm.id, node_id: 2 })).to.include({
      device_id_allowed: false,
      is_allowed: false,
    });
    expect(await checkAppIsAllowed(client, { appId, compose_hash: "ab".repeat(32) })).to.include({
      compose_hash_allowed: false,
      is_allowed: false,
    });
    expect(await checkAppCvmsIsAllowed(client, { appId })).to.include({ is_onchain: true, total: 1, allowed_count: 1 });
    await removeComposeHash(world.dstack.client, {
      account: world.dstack.owner,
      appId: cvm.appId,
      composeHash: cvm.composeHash,
    });
    expect(await checkAppCvmsIsAllowed(client, { appId })).to.include({ allowed_count: 0, denied_count: 1 });

    const path = `/apps/${appId}/is-allowed`;
    const post = (body: unknown, to = path) => request(world.cloud, "POST", to, { body });
    for (const body of [{}, { compose_hash: "ab" }, { compose_hash: composeHash, device_id: "zz" }]) {
      expect((await post(body)).status).to.equal(422);
    }
    expect((await post({ compose_hash: composeHash, chain_id: 1 })).status).to.equal(422);
    expect((await post({ compose_hash: composeHash }, `/apps/${"11".repeat(20)}/is-allowed`)).status).to.equal(404);
    const offChain = await createOffChainCvm(world);
    expect((await post({}, `/cvms/${offChain.id}/is-allowed`)).body).to.include({ error_code: "ERR-02-009" });
    expect(await checkAppCvmsIsAllowed(client, { appId: offChain.appId.slice(2) })).to.deep.include({
      is_onchain: false,
      results: [],
    });
  });

  it("lists the cloud's devices with the contract's, by number or hashid of the version", async () => {
    const appId = cvm.appId.slice(2);
    const list = await getAppDeviceAllowlist(officialClient(world.cloud), { appId });
    expect(list).to.include({
      is_onchain_kms: true,
      allow_any_device: false,
      chain_id: 8453,
      app_contract_address: cvm.appId,
    });
    const [first, second] = list.devices;
    expect(first).to.include({
      device_id: world.dstack.deviceId.slice(2),
      node_name: "node-1",
      allowed_onchain: true,
      status: "allowed",
    });
    expect(first?.cvm_ids[0]).to.be.a("number");
    expect(second).to.deep.include({ node_name: "node-2", allowed_onchain: false, cvm_ids: [] });
    const headers = { "X-Phala-Version": "2026-05-22" };
    const { body } = await request(world.cloud, "GET", `/apps/${appId}/device-allowlist`, { headers });
    expect(body).to.have.nested.property("devices[0].cvm_ids[0]", cvm.id);
    const offChain = await createOffChainCvm(world);
    const none = await getAppDeviceAllowlist(officialClient(world.cloud), { appId: offChain.appId.slice(2) });
    expect(none).to.deep.include({ is_onchain_kms: false, devices: [] });
  });
});
