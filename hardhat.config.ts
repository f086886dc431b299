import { createRequire } from "node:module";
import hardhatEthers from "@nomicfoundation/hardhat-ethers";
import hardhatMocha from "@nomicfoundation/hardhat-mocha";
import hardhatToolboxViem from "@nomicfoundation/hardhat-toolbox-viem";
import hardhatTypechain from "@nomicfoundation/hardhat-typechain";
import { configVariable, defineConfig } from "hardhat/config";
import dstack from "./src/hardhat/index.ts";
import { baseChainDescriptor, baseChainId } from "./src/world/chain/predeploys.ts";

// The compiler comes from npm, so nothing is downloaded at build time. Both profiles carry all settings:
// `ignition deploy` builds with `production`, and Hardhat would otherwise derive that one without evmVersion.
// foundry.toml repeats these values; test/ts/unit/tooling/config-parity.test.ts compares them.
const compiler = {
  version: "0.8.37",
  path: createRequire(import.meta.url).resolve("solc/soljson.js"),
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "cancun",
    metadata: { bytecodeHash: "none" as const },
    outputSelection: { "*": { "*": ["storageLayout"] } },
  },
};

export default defineConfig({
  plugins: [hardhatToolboxViem, hardhatMocha, hardhatEthers, hardhatTypechain, dstack],
  solidity: {
    profiles: { default: compiler, production: compiler },
    npmFilesToBuild: ["@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol"],
  },
  paths: { tests: { mocha: "test/ts", nodejs: "test/node", solidity: "test/contracts" } },
  typechain: { outDir: "types/ethers-contracts" },
  chainDescriptors: { [baseChainId]: baseChainDescriptor },
  test: {
    mocha: { timeout: 60_000, failZero: true, forbidOnly: process.env.CI !== undefined },
    solidity: { fuzz: { runs: 256, seed: "0x1" }, invariant: { runs: 64, depth: 32, failOnRevert: true } },
  },
  networks: {
    // A new Base-like chain in this process, for tests, the demo and the local world.
    local: { type: "edr-simulated", chainType: "op", chainId: 8453 },
    // A node that the user runs on this machine, with any chain id.
    localhost: { type: "http", chainType: "op", url: "http://127.0.0.1:8545" },
    base: {
      type: "http",
      chainType: "op",
      chainId: 8453,
      url: configVariable("BASE_RPC_URL"),
      accounts: [configVariable("DSTACK_OWNER_KEY")],
    },
  },
});
