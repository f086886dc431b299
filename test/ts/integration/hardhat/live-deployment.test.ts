import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { type Address, type Hex, isAddress, keccak256, numberToHex } from "viem";
import { liveDeployments } from "../../../../src/core/live-deployments.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { type Lie, type LyingRpc, startLyingRpc } from "../../../support/hostile/lying-rpc.ts";

const [onBase, onEthereum] = liveDeployments;
const unknownMethod = { fault: { code: -32601, message: "the method does not exist" } };
/** What a node of a live chain answers. */
const live: readonly Lie[] = [
  { method: "web3_clientVersion", answer: { value: "Geth/v1.16.0" } },
  { method: "hardhat_metadata", answer: unknownMethod },
  { method: "anvil_nodeInfo", answer: unknownMethod },
];
// ERC-7201 and ERC-1967 slots of the KMS: owner, pending owner, initialisation, implementation.
const namespaced: readonly Hex[] = [
  "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300",
  "0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00",
  "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00",
  "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
];

describe("the registry of live deployments", () => {
  let world: World;
  let rpc: LyingRpc;
  let directory: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    rpc = await startLyingRpc(world.chain.rpcUrl);
    directory = await mkdtemp(join(tmpdir(), "dstack-live-"));
  });
  after(async () => {
    await rpc?.close();
    await world?.close();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => rpc.tell(live));

  /** Puts a copy of the world's KMS at the address of the registry. */
  async function copyKms(to: Address): Promise<void> {
    const { client } = world.chain;
    const from = world.contracts.kms;
    const plain = Array.from({ length: 12 }, (_, slot) => numberToHex(slot, { size: 32 }));
    // A text longer than 31 bytes, such as the key, is kept from the hash of its slot on.
    const texts = plain.flatMap((slot) => [0n, 1n, 2n].map((word) => numberToHex(BigInt(keccak256(slot)) + word)));
    const slots = [...namespaced, ...plain, ...texts];
    for (const index of slots) {
      const value = (await client.getStorageAt({ address: from, slot: index })) ?? "0x";
      await client.setStorageAt({ address: to, index, value });
    }
    await client.setCode({ address: to, bytecode: (await client.getCode({ address: from })) ?? "0x" });
  }

  function project() {
    return projectOf({ ...world, chain: { ...world.chain, rpcUrl: rpc.url } as World["chain"] });
  }

  const owner = devAccount(3).address;

  it("has one KMS for each chain, with where it was read", () => {
    expect(new Set(liveDeployments.map(({ chainId }) => chainId)).size).to.equal(liveDeployments.length);
    expect(onBase).to.include({ chainId: 8453, kms: "0x2f83172A49584C017F2B256F0FB2Dca14126Ba9C" });
    expect(onEthereum).to.include({ chainId: 1, kms: "0xd343a3f5593b93D8056aB5D60c433622d7D65a80" });
    for (const { kms, sources } of liveDeployments) {
      expect(isAddress(kms)).to.equal(true);
      expect(sources).to.not.deep.equal([]);
    }
  });

  it("counts for no development chain, although its id is a live one's", async () => {
    rpc.tell([]);
    const { exitCode, stderr } = await runTask(await project(), ["kms", "show"]);
    expect(exitCode).to.equal(2);
    expect(stderr).to.match(/^DSTK-1007 No KMS was named\./);
  });

  it("is refused where there is no such contract", async () => {
    const { exitCode, stderr, stdout } = await runTask(await project(), ["app", "deploy"], { owner, dryRun: true });
    expect(exitCode).to.equal(2);
    expect(stderr).to.include(`The registry names ${onBase?.kms} as the KMS of Phala Cloud on Base`);
    expect(stdout).to.not.include("registry");
  });

  it("is refused where another contract is, and where no implementation is behind it", async () => {
    const { client } = world.chain;
    const kms = onBase?.kms ?? expect.fail();
    await client.setCode({
      address: kms,
      bytecode: (await client.getCode({ address: world.contracts.appImplementation })) ?? "0x",
    });
    expect((await runTask(await project(), ["kms", "show"])).stderr).to.include("but it is no DstackKms here");
    const implementation = namespaced.at(-1) ?? "0x";
    rpc.tell([...live, { method: "eth_getStorageAt", answer: { value: numberToHex(0, { size: 32 }) } }]);
    await copyKms(kms);
    expect((await runTask(await project(), ["kms", "show"])).stderr).to.include("but it is no DstackKms here");
    expect(await client.getStorageAt({ address: kms, slot: implementation })).to.not.equal(
      numberToHex(0, { size: 32 }),
    );
  });

  describe("whose KMS is there", () => {
    before(() => copyKms(onBase?.kms ?? expect.fail()));

    it("is the default of --kms, with a note, and --kms and the configuration come first", async () => {
      const hre = await project();
      const taken = await runTask(hre, ["app", "deploy"], { owner, dryRun: true, json: true });
      expect(taken.exitCode, taken.stderr).to.equal(0);
      expect(taken.stderr).to.match(/^No KMS is named\. Takes 0x2f83\w+, Phala Cloud on Base in the registry/m);
      expect(taken.json<{ kms: string }>().kms).to.equal(onBase?.kms);
      const named = await runTask(hre, ["app", "deploy"], {
        owner,
        dryRun: true,
        json: true,
        kms: world.contracts.kms,
      });
      expect(named.json<{ kms: string }>().kms.toLowerCase()).to.equal(world.contracts.kms.toLowerCase());
      expect(named.stderr).to.not.include("registry");
    });

    it("is shown for an app that is registered there, and for no other app", async () => {
      const { appId } = world.cvms.onChain ?? {};
      const hre = await projectOf({
        ...world,
        apiKey: "",
        chain: { ...world.chain, rpcUrl: rpc.url } as World["chain"],
      });
      const other = await runTask(hre, ["status"], { app: appId, json: true });
      expect(other.json<{ kms?: string }>().kms).to.equal(undefined);
      rpc.tell([
        ...live,
        { method: "eth_call", of: onBase?.kms, at: 0, answer: { value: numberToHex(1, { size: 32 }) } },
      ]);
      const own = await runTask(hre, ["status"], { app: appId, json: true });
      expect(own.json<{ kms?: string }>().kms).to.equal(onBase?.kms);
    });

    it("counts as configured for the proof of a key", async () => {
      const file = join(directory, "new.env");
      writeFileSync(file, "GREETING=hello\n");
      const compose = join(directory, "new.yml");
      writeFileSync(compose, "services:\n  web:\n    image: nginx:1.29\n    environment:\n      - GREETING\n");
      const update = { cvm: "onchain-app", app: world.cvms.onChain?.appId, envFile: file, compose };
      rpc.tell([]);
      const refused = await runTask(await project(), ["update"], update);
      expect(refused.stderr).to.match(/^DSTK-1008 /);
      rpc.tell(live);
      const updated = await runTask(await project(), ["update"], { ...update, until: "latest" });
      expect(updated.exitCode, updated.stderr).to.equal(0);
      expect(updated.stdout).to.include("Takes 0x2f83172A49584C017F2B256F0FB2Dca14126Ba9C");
    });
  });
});
