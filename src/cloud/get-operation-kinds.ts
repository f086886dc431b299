import type { CloudClient } from "./create-client.ts";
import { statusBatchSchema } from "./protocol.ts";
import { parseReply, safe } from "./replies.ts";

export interface GetOperationKindsParameters {
  readonly vmUuids: readonly string[];
}

/** Maximum number of CVMs in one request. */
const batchSize = 100;

/**
 * Reads the running operation of each CVM by its UUID: `create`, `update`, `start`, `stop`, … Leaves out CVMs without
 * an operation and CVMs that the cloud does not know.
 *
 * @throws CloudError
 *
 * @example
 * import { getOperationKinds } from "dstack-toolkit/cloud";
 * import { cloud, vmUuid } from "./app.js";
 * const kinds = await getOperationKinds(cloud, { vmUuids: [vmUuid] });
 */
export async function getOperationKinds(
  client: CloudClient,
  { vmUuids }: GetOperationKindsParameters,
): Promise<ReadonlyMap<string, string>> {
  const kinds = new Map<string, string>();
  for (let start = 0; start < vmUuids.length; start += batchSize) {
    const json = { vm_uuids: vmUuids.slice(start, start + batchSize) };
    const reply = await client.request({ method: "POST", path: "/status/batch", json });
    const states = parseReply(reply, (body) => statusBatchSchema.parse(body));
    for (const [vmUuid, { operation_type }] of Object.entries(states))
      if (operation_type) kinds.set(vmUuid, operation_type);
  }
  return kinds;
}

export const safeGetOperationKinds = safe(getOperationKinds);
