import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createClient, type Hex, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import type { ChainClient } from "../../src/chain/chain-client.ts";
import { InvalidArgumentError } from "../../src/errors/index.ts";

/**
 * A viem client of a network in hardhat.config.ts, signing with its first account. URL and key come from the Hardhat
 * keystore or the environment. The key signs here, so that a transaction can be written down before it is sent.
 */
export async function readNetwork(hre: HardhatRuntimeEnvironment, name: string): Promise<ChainClient> {
  const network = hre.config.networks[name];
  if (network?.type !== "http") {
    throw new InvalidArgumentError(`hardhat.config.ts has no HTTP network named ${name}.`, {
      nextStep: "Name a network of type http, such as base.",
    });
  }
  const transport = http(await network.url.getUrl());
  if (network.accounts === "remote" || !Array.isArray(network.accounts))
    return createClient({ chain: base, transport });
  const [key] = network.accounts;
  const account = key && privateKeyToAccount((await key.getHexString()) as Hex); // getHexString answers 0x hex
  return createClient({ chain: base, transport, ...(account && { account }) });
}
