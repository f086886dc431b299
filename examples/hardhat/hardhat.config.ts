import { createRequire } from "node:module";
import hardhatMocha from "@nomicfoundation/hardhat-mocha";
import hardhatToolboxViem from "@nomicfoundation/hardhat-toolbox-viem";
import dstack from "dstack-toolkit/hardhat";
import { defineConfig } from "hardhat/config";

export default defineConfig({
  plugins: [hardhatToolboxViem, hardhatMocha, dstack],
  solidity: {
    version: "0.8.37",
    // The compiler from npm: nothing is downloaded at build time.
    path: createRequire(import.meta.url).resolve("solc/soljson.js"),
    settings: { evmVersion: "cancun", optimizer: { enabled: true } },
  },
  paths: { tests: { mocha: "test/ts", nodejs: "test/node", solidity: "test/solidity" } },
});
