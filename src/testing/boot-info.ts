import type { BootInfo } from "../chain/read-boot-verdict.ts";
import type { Hex } from "../core/hex.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";

// The values of contracts/testing/DstackDefaults.sol.
export const testComposeHash = parseComposeHash("c0".repeat(32));
export const testDeviceId = parseDeviceId("de".repeat(32));
export const testOsImageHash: Hex = `0x${"05".repeat(32)}`;

/** What a patched machine reports that runs the default compose hash on the default device. */
export function bootInfoOf(appId: AppId, changes: Partial<BootInfo> = {}): BootInfo {
  return {
    appId,
    composeHash: testComposeHash,
    instanceId: `0x${"11".repeat(20)}`,
    deviceId: testDeviceId,
    mrAggregated: `0x${"a6".repeat(32)}`,
    mrSystem: `0x${"57".repeat(32)}`,
    osImageHash: testOsImageHash,
    tcbStatus: "UpToDate",
    advisoryIds: [],
    ...changes,
  };
}
