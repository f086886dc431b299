import { zeroAddress, zeroHash } from "viem";
import { readBootVerdict } from "../../src/chain/read-boot.ts";
import type { ComposeHash } from "../../src/core/ids.ts";
import type { LaunchedCvm } from "../../src/world/cvms.ts";
import type { World } from "../../src/world/start-world.ts";

/** Describes in words what the KMS contract would answer if the CVM's machine booted this hash. */
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
      // The contracts do not read the other fields.
      instanceId: zeroAddress,
      mrAggregated: zeroHash,
      mrSystem: zeroHash,
      advisoryIds: [],
    },
  });
  return isAllowed ? "allowed" : `refused: ${reason}`;
}
