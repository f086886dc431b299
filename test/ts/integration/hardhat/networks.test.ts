import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatUserConfig } from "hardhat/types/config";
import { hexToBigInt } from "viem";
import { base, baseSepolia, mainnet } from "viem/chains";
import { connectChain } from "../../../../src/hardhat/connect.ts";
import dstack, { dstackNetworks } from "../../../../src/hardhat/index.ts";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { rejection } from "../../../support/rejection.ts";

const account = `0x${"00".repeat(19)}aa` as const;
const environmentOf = (network: string, config: HardhatUserConfig = {}) =>
  createHardhatRuntimeEnvironment({ plugins: [dstack], networks: { ...dstackNetworks }, ...config }, { network });

describe("the network definitions of the plugin", () => {
  const names = [
    ["base", "BASE_RPC_URL", base],
    ["baseSepolia", "BASE_SEPOLIA_RPC_URL", baseSepolia],
    ["ethereum", "ETHEREUM_RPC_URL", mainnet],
  ] as const;
  let upstream: LocalChain;

  before(async () => {
    upstream = await startChain();
    await upstream.client.setBalance({ address: account, value: 7n });
    await upstream.client.mine({ blocks: 1 });
  });

  after(() => upstream.close());

  afterEach(() => {
    for (const [, variable] of names) delete process.env[variable];
  });

  it("describe each chain live and as a fork, and read no variable before a network is used", async () => {
    const { config } = await environmentOf("base");
    for (const [name, variable, { id }] of names) {
      const chainType = id === 1 ? "l1" : "op";
      expect(config.networks[name]).to.include({ type: "http", chainId: id, chainType });
      expect(config.networks[`${name}Fork`]).to.include({ type: "edr-simulated", chainId: id, chainType });
      const error = await rejection(connectChain(await environmentOf(name)));
      expect(String(error)).to.include(variable);
    }
  });

  it("connect the endpoint of the variable, which must serve the chain", async () => {
    process.env.BASE_RPC_URL = upstream.rpcUrl;
    process.env.ETHEREUM_RPC_URL = upstream.rpcUrl;
    expect(await connectChain(await environmentOf("base"))).to.include({ chainId: 8453, network: "base" });
    const error = await rejection(connectChain(await environmentOf("ethereum")));
    expect(error).to.have.property("name", "WrongChainError");
  });

  it("fork Base, and mine on the fork by its rules", async () => {
    process.env.BASE_RPC_URL = upstream.rpcUrl;
    const { network } = await environmentOf("baseFork");
    const connection = await network.create();
    const { provider } = connection;
    expect(hexToBigInt(await provider.request({ method: "eth_getBalance", params: [account, "latest"] }))).to.equal(7n);
    await provider.request({ method: "hardhat_mine", params: ["0x2"] });
    const block = (await provider.request({ method: "eth_getBlockByNumber", params: ["latest", false] })) as object;
    // From Isthmus on, a header has the root of withdrawals, and its extra data the parameters of the fee.
    expect(block).to.have.property("extraData").with.lengthOf.at.least(20);
    await connection.close();
  });

  it("leave a project's own description of Base alone", async () => {
    const own = { name: "My Base", chainType: "op", hardforkHistory: { bedrock: { timestamp: 0 } } } as const;
    const { config } = await environmentOf("base", { chainDescriptors: { 8453: own } });
    expect(config.chainDescriptors.get(8453n)).to.include({ name: "My Base" });
    expect(config.chainDescriptors.get(84532n)?.hardforkHistory?.has("isthmus")).to.equal(true);
    expect(config.chainDescriptors.get(84532n)?.blockExplorers).to.have.property("etherscan");
  });
});
