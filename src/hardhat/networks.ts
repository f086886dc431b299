import { configVariable } from "hardhat/config";
import type { EdrNetworkUserConfig, HttpNetworkUserConfig } from "hardhat/types/config";

interface LiveChain {
  readonly chainType: "op" | "l1";
  readonly chainId: number;
  /** Configuration variable of its RPC URL. Hardhat reads it when the network is used. */
  readonly variable: string;
}

const base: LiveChain = { chainType: "op", chainId: 8453, variable: "BASE_RPC_URL" };
const baseSepolia: LiveChain = { chainType: "op", chainId: 84532, variable: "BASE_SEPOLIA_RPC_URL" };
const ethereum: LiveChain = { chainType: "l1", chainId: 1, variable: "ETHEREUM_RPC_URL" };

/**
 * The platform's chains for `networks` of a Hardhat configuration: live, and as forks in this process. The URL of each
 * is the configuration variable `BASE_RPC_URL`, `BASE_SEPOLIA_RPC_URL` or `ETHEREUM_RPC_URL`, which is read when the
 * network is used. With this plugin, Hardhat knows the hardforks of Base that a fork needs.
 *
 * @example
 * import dstack, { dstackNetworks } from "dstack-toolkit/hardhat";
 * import { defineConfig } from "hardhat/config";
 * export default defineConfig({ plugins: [dstack], networks: { ...dstackNetworks } });
 */
export const dstackNetworks = {
  base: live(base),
  baseFork: forked(base),
  baseSepolia: live(baseSepolia),
  baseSepoliaFork: forked(baseSepolia),
  ethereum: live(ethereum),
  ethereumFork: forked(ethereum),
};

function live({ chainType, chainId, variable }: LiveChain): HttpNetworkUserConfig {
  return { type: "http", chainType, chainId, url: configVariable(variable) };
}

function forked({ chainType, chainId, variable }: LiveChain): EdrNetworkUserConfig {
  return { type: "edr-simulated", chainType, chainId, forking: { url: configVariable(variable) } };
}
