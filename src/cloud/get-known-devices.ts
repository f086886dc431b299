import { type AppId, type DeviceId, parseDeviceId, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { deviceAllowlistSchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetKnownDevicesParameters {
  readonly appId: AppId;
}

/**
 * Lists the devices of the cloud's machines on which an app may run. Throws like getAppCvms.
 *
 * @throws CloudError
 *
 * @example
 * import { getKnownDevices } from "dstack-toolkit/cloud";
 * import { appId, cloud } from "./app.js";
 * const deviceIds = await getKnownDevices(cloud, { appId });
 */
export async function getKnownDevices(
  client: CloudClient,
  { appId }: GetKnownDevicesParameters,
): Promise<readonly DeviceId[]> {
  const path = apiPath`/apps/${withoutPrefix(appId)}/device-allowlist`;
  return readJson(client, { path }, (body) =>
    deviceAllowlistSchema.parse(body).devices.map(({ device_id }) => parseDeviceId(device_id)),
  );
}

export const safeGetKnownDevices = safe(getKnownDevices);
