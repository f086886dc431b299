import type { NetworkConnection } from "hardhat/types/network";
import { deterministicDeployer } from "../../../src/core/batch-executor.ts";

/** Its 69 bytes, which create what follows the first word of the calldata with that word as the salt. */
export const deterministicDeployerCode =
  "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

/** Puts the deterministic-deployment proxy on a fresh chain; Base and most others have it. */
export async function installDeterministicDeployer({ networkHelpers }: NetworkConnection): Promise<void> {
  await networkHelpers.setCode(deterministicDeployer, deterministicDeployerCode);
}
