import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { type AppRevision, getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getOperationKinds } from "../cloud/get-operation-kinds.ts";
import type { AppId } from "../core/ids.ts";
import type { HashUse } from "../core/prune/prune-facts.ts";
import { isDstackError } from "../errors/index.ts";

export interface FindMoveTargetsParameters {
  readonly appId: AppId;
  readonly cvms: readonly Cvm[];
}

export interface FindMoveTargetsReturnType {
  readonly movingTo: readonly HashUse[];
  /** One sentence for each CVM whose operation leads nobody knows where. */
  readonly problems: readonly string[];
}

/** Operations that boot what a CVM has already, or nothing. */
const switching = ["start", "stop", "shutdown", "restart"];

/** Tells which hashes the CVMs with an operation under way will boot: its revision says so. */
export async function findMoveTargets(
  cloud: CloudClient,
  { appId, cvms }: FindMoveTargetsParameters,
): Promise<FindMoveTargetsReturnType> {
  const busy = cvms.filter((cvm) => cvm.busy);
  if (busy.length === 0) return { movingTo: [], problems: [] };
  try {
    const revisions = await findRevisions(cloud, appId, new Set(busy.map(({ operationId }) => operationId)));
    const kinds = await getOperationKinds(cloud, { vmUuids: busy.flatMap(({ vmUuid }) => vmUuid ?? []) });
    const judged = busy.map((cvm) => ({
      cvm,
      target: revisions.get(cvm.operationId),
      isSwitching: switching.includes(kinds.get(cvm.vmUuid ?? "") ?? ""),
    }));
    return {
      movingTo: judged.flatMap(({ cvm: { id, name, status }, target }) =>
        target === undefined ? [] : [{ composeHash: target.composeHash, cvm: { id, name, status } }],
      ),
      problems: judged
        .filter(({ target, isSwitching }) => target === undefined && !isSwitching)
        .map(({ cvm }) => `CVM ${cvm.name} is ${cvm.status}, and the cloud does not say to which compose hash.`),
    };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { movingTo: [], problems: busy.map(({ name, status }) => `CVM ${name} is ${status}: ${error.message}`) };
  }
}

/** The revisions of these operations. Newest first, so the pages are read only until all are found. */
async function findRevisions(cloud: CloudClient, appId: AppId, operationIds: ReadonlySet<string | undefined>) {
  const found = new Map<string | undefined, AppRevision>();
  for (let page = 1; ; page++) {
    const { revisions, pageCount } = await getAppRevisions(cloud, { appId, page });
    for (const revision of revisions) {
      const { operationId } = revision;
      if (operationId !== undefined && operationIds.has(operationId)) found.set(operationId, revision);
    }
    // An empty page ends it too: how many there are is only the cloud's word.
    const isLast = page >= pageCount || revisions.length === 0;
    if (isLast || found.size === operationIds.size) return found;
  }
}
