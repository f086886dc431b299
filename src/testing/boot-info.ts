import type { BootInfo } from "../chain/read-boot.ts";
import { type Hex, parseAppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";

// The values of contracts/testing/DstackDefaults.sol.
export const testComposeHash = parseComposeHash("c0".repeat(32));
export const testDeviceId = parseDeviceId("de".repeat(32));
export const testOsImageHash: Hex = `0x${"05".repeat(32)}`;

/** Boot information before its ids are parsed. */
export interface BootInfoChanges extends Partial<Omit<BootInfo, "appId" | "composeHash" | "deviceId">> {
  readonly appId?: Hex | undefined;
  readonly composeHash?: Hex | undefined;
  readonly deviceId?: Hex | undefined;
}

/**
 * What a patched machine reports that runs the default compose hash on the default device, with the fields the test is
 * about replaced.
 *
 * @throws InvalidHexError
 */
export function bootInfoOf(appId: Hex, changes: BootInfoChanges = {}): BootInfo {
  const { appId: app = appId, composeHash = testComposeHash, deviceId = testDeviceId, ...rest } = changes;
  return {
    instanceId: `0x${"11".repeat(20)}`,
    mrAggregated: `0x${"a6".repeat(32)}`,
    mrSystem: `0x${"57".repeat(32)}`,
    osImageHash: testOsImageHash,
    tcbStatus: "UpToDate",
    advisoryIds: [],
    ...rest,
    appId: parseAppId(app),
    composeHash: parseComposeHash(composeHash),
    deviceId: parseDeviceId(deviceId),
  };
}
