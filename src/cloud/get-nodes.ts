import { type DeviceId, parseDeviceId } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import type { CloudClient } from "./create-client.ts";
import { availableNodesSchema } from "./protocol.ts";
import { readJson, safe } from "./replies.ts";

/** A machine that can run CVMs of the API key's workspace. */
export interface CloudNode {
  readonly name: string;
  /** Undefined if the cloud does not report it. */
  readonly deviceId: DeviceId | undefined;
}

/**
 * Lists the machines.
 *
 * @throws CloudError
 *
 * @example
 * import { getNodes } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * for (const { name, deviceId } of await getNodes(cloud)) console.log(name, deviceId);
 */
export async function getNodes(client: CloudClient): Promise<readonly CloudNode[]> {
  return readJson(client, { path: "/teepods/available" }, (body) =>
    availableNodesSchema.parse(body).nodes.map(({ name, device_id }) => ({
      name: cleanText(name),
      deviceId: device_id ? parseDeviceId(device_id) : undefined,
    })),
  );
}

export const safeGetNodes = safe(getNodes);
