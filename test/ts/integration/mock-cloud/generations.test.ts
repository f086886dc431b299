import { expect } from "chai";
import { network } from "hardhat";
import { createPublicClient, custom, type Hex } from "viem";
import { getBlockNumber } from "viem/actions";
import { readGeneration } from "../../../../src/chain/generation.ts";
import { generations } from "../../../../src/core/generation.ts";
import { readGenerations } from "../../../../src/mock-cloud/verification/generation.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { epochInterfaces, oddities } from "../../../support/chain/upgrade-to.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";
import { rejection } from "../../../support/rejection.ts";

describe("the generations that the backend reads", () => {
  let dstack: Dstack;
  let rpc: FaultyRpc;
  const deployed = new Map<string, Hex>();
  const backend = () => createPublicClient({ transport: rpc.transport, cacheTime: 0 });

  before(async () => {
    dstack = await deployDstack(await network.create("local"));
    rpc = faultyRpc(dstack.connection.provider);
    const deploy = async (name: string, contract: string, args: readonly unknown[]) => {
      const { address } = await dstack.connection.viem.deployContract(contract as never, args as never);
      deployed.set(name, address);
    };
    deployed.set("the app", dstack.appId);
    deployed.set("the KMS", dstack.kms);
    for (const [id, epochs] of Object.entries(epochInterfaces)) await deploy(`an app of ${id}`, "EpochApp", [epochs]);
    for (const [name, oddity] of Object.entries(oddities)) await deploy(name, "OddInterfaceApp", [oddity]);
    await deploy("an app without supportsInterface", "LyingApp", [""]);
    await deploy("an app that burns all gas", "GasBurningApp", []);
    await deploy("an app that answers nothing", "RawAnsweringApp", ["0x", false]);
    await deploy("an app that answers a byte", "RawAnsweringApp", ["0x01", false]);
    await deploy("an app that answers two words", "RawAnsweringApp", [
      `0x${"00".repeat(31)}01${"ff".repeat(32)}`,
      false,
    ]);
    await deploy("an app that reverts with a word", "RawAnsweringApp", [`0x${"00".repeat(31)}01`, true]);
  });
  after(() => dstack.connection.close());
  afterEach(() => rpc.setFault(undefined));

  it("equal those of single calls, in one request for all contracts", async () => {
    const client = createPublicClient({ transport: custom(dstack.connection.provider) });
    const apart = [];
    for (const address of deployed.values()) apart.push(await readGeneration(client, { address }));
    let requests = 0;
    rpc.setFault(() => {
      requests += 1;
      return undefined;
    });
    const together = await readGenerations(backend(), [...deployed.values()]);
    expect(requests).to.equal(1);
    const named = (list: readonly { readonly id: string }[]) =>
      [...deployed.keys()].map((name, index) => `${name}: ${list[index]?.id}`);
    expect(named(together)).to.deep.equal(named(apart));
    expect(new Set(together)).to.have.property("size", 4);
  });

  it("count an address without a contract as the first", async () => {
    expect(await readGenerations(backend(), [`0x${"ee".repeat(20)}`])).to.deep.equal([generations.first]);
  });

  it("are those of the block that is asked for", async () => {
    const appId = dstack.appId;
    const blockNumber = await getBlockNumber(dstack.client);
    const { provider } = dstack.connection;
    const code = await provider.request({ method: "eth_getCode", params: [deployed.get("saysYesToAll"), "latest"] });
    await provider.request({ method: "hardhat_mine", params: [] });
    const before = await provider.request({ method: "eth_getCode", params: [appId, "latest"] });
    await provider.request({ method: "hardhat_setCode", params: [appId, code] });
    expect(await readGenerations(backend(), [appId])).to.deep.equal([generations.unknown]);
    expect(await readGenerations(backend(), [appId], blockNumber)).to.deep.equal([generations.first]);
    await provider.request({ method: "hardhat_setCode", params: [appId, before] });
  });

  it("are unknown while the endpoint gives no answer, or an invalid one", async () => {
    for (const answer of [() => Promise.reject(new Error("down")), () => Promise.resolve("0x")]) {
      rpc.setFault(answer);
      expect(await rejection(readGenerations(backend(), [dstack.appId]))).to.be.instanceOf(Error);
    }
  });
});
