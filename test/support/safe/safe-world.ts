import type { Address, Hex, LocalAccount } from "viem";
import { buildSafeBatch } from "../../../src/batch/build-safe-batch.ts";
import { sendBatch } from "../../../src/batch/send-batch.ts";
import type { AppId } from "../../../src/core/ids.ts";
import { acceptOwnershipCall, transferOwnershipCall } from "../../../src/core/owner-calls.ts";
import { safeDeployments } from "../../../src/core/safe-deployments.ts";
import { devAccount } from "../../../src/world/chain/client.ts";
import type { World } from "../../../src/world/start-world.ts";
import { deploySafe, type SafeVersion, safeArtifact } from "../chain/deploy-owner-contracts.ts";
import { executeSafeBatch } from "../chain/safe.ts";

/** A Safe of the published contracts, with three owners of whom two must sign. */
export interface TestSafe {
  readonly safe: Address;
  /** Accounts 1 to 3 of the chain. */
  readonly owners: readonly [LocalAccount, LocalAccount, LocalAccount];
}

/** Deploys a Safe and puts MultiSendCallOnly of the same release at its address on every chain. */
export async function addSafe({ owner, ownerClient, chain }: World, version: SafeVersion): Promise<TestSafe> {
  const owners = [devAccount(1), devAccount(2), devAccount(3)] as const;
  const addresses = owners.map(({ address }) => address);
  const safe = await deploySafe(ownerClient, { payer: owner, owners: addresses, threshold: 2, version });
  const { deployedBytecode } = safeArtifact(version, "libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json") as {
    readonly deployedBytecode?: Hex;
  };
  if (deployedBytecode === undefined) throw new Error("The artifact has no code.");
  await chain.client.setCode({ address: safeDeployments[version].multiSendCallOnly, bytecode: deployedBytecode });
  return { safe, owners };
}

/** Makes the Safe the owner of the world's app. */
export async function giveAppToSafe(
  { owner, ownerClient }: World,
  { safe, owners }: TestSafe,
  appId: AppId,
): Promise<void> {
  await sendBatch(ownerClient, { mode: "none", calls: [transferOwnershipCall({ appId, newOwner: safe })] });
  const batch = await buildSafeBatch(ownerClient, { safe, calls: [acceptOwnershipCall({ appId })] });
  await executeSafeBatch(ownerClient, { batch, signers: owners.slice(0, 2), payer: owner });
}
