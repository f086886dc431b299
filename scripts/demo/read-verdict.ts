import { zeroAddress, zeroHash } from "viem";
import { readBootVerdict } from "../../src/chain/read-boot.ts";
import type { ComposeHash } from "../../src/core/ids.ts";
import type { LaunchedCvm } from "../../src/world/cvms.ts";
import type { World } from "../../src/world/start-world.ts";

/** What the KMS contract would answer the CVM's machine if it booted this hash, as words. */
export async function readVerdict(
  world: World,
  cvm: LaunchedCvm,
  composeHash: ComposeHash,
  blockNumber?: bigint,
): Promise<string> {
  const { isAllowed, reason } = await readBootVerdict(world.ownerClient, {
    kms: world.contracts.kms,
    blockNumber,
    bootInfo: {
      appId: cvm.appId,
      composeHash,
      deviceId: cvm.deviceId,
      osImageHash: world.osImages[0].hash,
      tcbStatus: "UpToDate",
      // No rule of the contracts reads the rest.
      instanceId: zeroAddress,
      mrAggregated: zeroHash,
      mrSystem: zeroHash,
      advisoryIds: [],
    },
  });
  return isAllowed ? "allowed" : `refused: ${reason}`;
}
