import { createRequire } from "node:module";
import dstack from "dstack-toolkit/hardhat";
import { configVariable, defineConfig } from "hardhat/config";

export default defineConfig({
  plugins: [dstack],
  dstack: { ownerKey: configVariable("MY_KEY") },
  networks: { world: { type: "http", url: configVariable("WORLD_RPC_URL") } },
  solidity: {
    version: "0.8.37",
    path: createRequire(import.meta.url).resolve("solc/soljson.js"),
    settings: { evmVersion: "cancun", optimizer: { enabled: true } },
    npmFilesToBuild: ["dstack-toolkit/contracts/DstackKms.sol"],
  },
});
