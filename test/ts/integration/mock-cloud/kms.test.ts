import { expect } from "chai";
import { network } from "hardhat";
import { custom } from "viem";
import {
  kmsContractListSchema,
  kmsContractNodesSchema,
  kmsContractSchema,
  kmsInfoSchema,
  kmsOnChainDetailSchema,
} from "../../../../src/cloud/protocol.ts";
import {
  type CloudWorld,
  dockerCompose,
  officialClient,
  platformOf,
  request,
  startCloudWorld,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";

const byContract = { headers: { "X-Phala-Version": "2026-06-23" } };
const byNode = { headers: { "X-Phala-Version": "2026-05-22" } };

describe("KMS, by contract and by node", () => {
  let world: CloudWorld;
  let rpc: FaultyRpc;

  before(async () => {
    const connection = await network.create("local");
    rpc = faultyRpc(connection.provider);
    world = await startCloudWorld(connection);
    const onChain = { chainId: 8453, contractAddress: world.dstack.kms };
    world.cloud.seed({
      kms: [
        { slug: "kms-base-2", ...onChain, rpc: custom(connection.provider) },
        { slug: "kms-base-1", ...onChain, rpc: rpc.transport },
      ],
    });
  });
  after(() => world.cloud.close());
  afterEach(() => rpc.setFault(undefined));

  const get = (path: string, options = byContract) => request(world.cloud, "GET", path, options);

  it("lists one entry for nodes that share a contract, from 2026-06-23 on", async () => {
    const list = kmsContractListSchema.parse((await get("/kms")).body);
    expect(list).to.include({ total: 2, page: 1, pages: 1 });
    const [offChain, onChain] = list.items;
    expect(offChain).to.include({ contract_address: "phala", chain_id: 0, node_count: 1, slug: "kms-phala-1" });
    expect(onChain).to.include({
      contract_address: world.dstack.kms.toLowerCase(),
      chain_id: 8453,
      node_count: 2,
      k256_pubkey: world.cloud.kmsPublicKey("kms-base-1").slice(2),
    });
    expect(onChain?.id).to.match(/^kc_/);
    const filtered = kmsContractListSchema.parse((await get("/kms?is_onchain=true")).body);
    expect(filtered.items).to.deep.equal([onChain]);
  });

  it("finds a contract by its id, address, type, or a node's slug, and lists its nodes", async () => {
    const { id } = kmsContractSchema.parse((await get("/kms/base")).body);
    for (const reference of [id, world.dstack.kms, "kms-base-2"]) {
      expect((await get(`/kms/${reference}`)).body).to.include({ id });
      const nodes = kmsContractNodesSchema.parse((await get(`/kms/${reference}/nodes`)).body);
      expect(nodes.items.map(({ slug }) => slug)).to.deep.equal(["kms-base-1", "kms-base-2"]);
      expect(nodes.items[0]).to.include({ kms_type: "base" });
    }
    expect((await get("/kms/phala")).body).to.include({ contract_address: "phala", chain_id: 0 });
    expect((await get("/kms/kc_nowhere")).body).to.include({ error_code: "ERR-02-011" });
    expect((await get("/kms/kc_nowhere/nodes")).status).to.equal(404);
    const node = kmsInfoSchema.parse((await get("/kms/kms-base-2", byNode)).body);
    expect(node).to.include({ slug: "kms-base-2", chain_id: 8453 });
  });

  it("accepts a contract's id in each place of a KMS, because newer lists show no other", async () => {
    const { items } = kmsContractListSchema.parse((await get("/kms?is_onchain=true")).body);
    const [contract] = items;
    const key = `/pubkey/${"11".repeat(20)}`;
    const { status, body } = await get(`/kms/${contract?.id}${key}`);
    expect(status).to.equal(200);
    expect(body).to.deep.equal((await get(`/kms/kms-base-1${key}`)).body);
    const planned = await request(world.cloud, "POST", "/cvms/provision", {
      body: { name: "by-contract", compose_file: { docker_compose_file: dockerCompose }, kms_id: contract?.id },
    });
    expect(planned.body).to.have.nested.property("kms_info.kms_contract_address", contract?.contract_address);
  });

  it("lists the devices and images that a chain's contracts allow", async () => {
    const detail = kmsOnChainDetailSchema.parse(
      await officialClient(world.cloud).getKmsOnChainDetail({ chain: "base" }),
    );
    expect(detail).to.include({ chain_id: 8453 });
    const [contract] = detail.contracts;
    expect(contract).to.include({ contract_address: world.dstack.kms.toLowerCase(), chain_id: 8453 });
    const [allowed, unknown] = platformOf(world.dstack).osImages ?? [];
    expect(contract?.os_images).to.deep.equal([
      { name: allowed?.name, version: "0.5.7", os_image_hash: allowed?.osImageHash.slice(2), on_chain_allowed: true },
      { name: unknown?.name, version: "0.5.8", os_image_hash: unknown?.osImageHash, on_chain_allowed: false },
    ]);
    expect(contract?.devices.map(({ node_name, on_chain_allowed }) => [node_name, on_chain_allowed])).to.deep.equal([
      ["node-1", false],
      ["node-2", false],
      ["node-3", false],
    ]);
  });

  it("answers null without the chain's answer, and nothing on a chain without a KMS", async () => {
    rpc.setFault(async () => {
      throw new Error("down");
    });
    const detail = kmsOnChainDetailSchema.parse((await get("/kms/on-chain/base")).body);
    expect(detail.contracts[0]?.os_images.map(({ on_chain_allowed }) => on_chain_allowed)).to.deep.equal([null, null]);
    expect((await get("/kms/on-chain/ethereum")).body)
      .to.include({ chain_id: 1 })
      .and.to.have.deep.property("contracts", []);
    expect((await get("/kms/on-chain/moon")).body).to.include({ error_code: "ERR-02-011" });
  });
});
