import { zeroAddress, zeroHash } from "viem";
import type { BootInfo } from "../../chain/read-boot.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import { getCvmOsImage } from "../../cloud/get-cvm-os-image.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  parseComposeHash,
  parseDeviceId,
  parseFixedHex,
} from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { requireSameApp } from "../connect/resolve-app.ts";

export interface BootArguments {
  readonly hash?: string | undefined;
  readonly device?: string | undefined;
  readonly osImage?: string | undefined;
  readonly tcbStatus?: string | undefined;
}

export interface GatherBootInfoParameters {
  readonly appId: AppId;
  /** A CVM whose present hash, device and OS image stand for what is not given. */
  readonly cvm: string | undefined;
  readonly cloud: CloudClient | undefined;
}

/**
 * What a machine would report. The rules of the contracts look at none of the fields that are zero here.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError
 */
export async function gatherBootInfo(
  { hash, device, osImage, tcbStatus = "UpToDate" }: BootArguments,
  { appId, cvm, cloud }: GatherBootInfoParameters,
): Promise<BootInfo> {
  const isComplete = hash !== undefined && device !== undefined && osImage !== undefined;
  const known = isComplete || cvm === undefined || cloud === undefined ? {} : await askCloud(cloud, cvm, appId);
  const composeHash = hash === undefined ? known.composeHash : parseComposeHash(hash);
  const deviceId = device === undefined ? known.deviceId : parseDeviceId(device);
  const osImageHash = osImage === undefined ? known.osImageHash : parseFixedHex("An OS image hash", osImage, 32);
  if (composeHash === undefined) throw missing("--hash");
  if (deviceId === undefined) throw missing("--device");
  if (osImageHash === undefined) throw missing("--os-image");
  return {
    appId,
    composeHash,
    deviceId,
    osImageHash,
    tcbStatus,
    instanceId: zeroAddress,
    mrAggregated: zeroHash,
    mrSystem: zeroHash,
    advisoryIds: [],
  };
}

interface Known {
  readonly composeHash?: ComposeHash | undefined;
  readonly deviceId?: DeviceId | undefined;
  readonly osImageHash?: BootInfo["osImageHash"] | undefined;
}

async function askCloud(cloud: CloudClient, cvm: string, appId: AppId): Promise<Known> {
  const [{ appId: itsApp, composeHash, deviceId }, osImageHash] = await Promise.all([
    getCvm(cloud, { cvm }),
    getCvmOsImage(cloud, { cvm }),
  ]);
  requireSameApp(cvm, itsApp, appId);
  return { composeHash, deviceId, osImageHash };
}

function missing(option: string): InvalidArgumentError {
  return new InvalidArgumentError(`${option} is not given and not known.`, {
    nextStep: "Give --hash, --device and --os-image, or --cvm to take them from a CVM (which needs an API key).",
  });
}
