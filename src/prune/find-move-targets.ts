import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { type AppRevision, getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getOperationKinds } from "../cloud/get-operation-kinds.ts";
import { type AppId, nameOfCvm } from "../core/ids.ts";
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

/**
 * Tells which hashes the CVMs with an operation under way will boot: its revision says so. What is found out counts,
 * though the cloud leaves another question open.
 */
export async function findMoveTargets(
  cloud: CloudClient,
  { appId, cvms }: FindMoveTargetsParameters,
): Promise<FindMoveTargetsReturnType> {
  const busy = cvms.filter((cvm) => cvm.busy);
  const targets = new Map<string | undefined, AppRevision>();
  const targetOf = ({ operationId }: Cvm) => targets.get(operationId);
  const isLost = (cvm: Cvm) => targetOf(cvm) === undefined;
  let problems: string[] = [];
  try {
    if (busy.length > 0)
      await findRevisions(cloud, appId, new Set(busy.map(({ operationId }) => operationId)), targets);
    const kinds = await getOperationKinds(cloud, {
      vmUuids: busy.filter(isLost).flatMap(({ vmUuid }) => vmUuid ?? []),
    });
    const isSwitching = ({ vmUuid = "" }: Cvm) => switching.includes(kinds.get(vmUuid) ?? "");
    problems = busy
      .filter((cvm) => isLost(cvm) && !isSwitching(cvm))
      .map((cvm) => `CVM ${nameOfCvm(cvm)} is ${cvm.status}, and the cloud does not say to which compose hash.`);
  } catch (error) {
    if (!isDstackError(error)) throw error;
    problems = busy.filter(isLost).map((cvm) => `CVM ${nameOfCvm(cvm)} is ${cvm.status}: ${error.message}`);
  }
  const movingTo = busy.flatMap((cvm) => {
    const { id, name, status } = cvm;
    const target = targetOf(cvm);
    return target === undefined ? [] : [{ composeHash: target.composeHash, cvm: { id, name, status } }];
  });
  return { movingTo, problems };
}

/** Adds the revisions of these operations. Newest first, so the pages are read only until all are found. */
async function findRevisions(
  cloud: CloudClient,
  appId: AppId,
  operationIds: ReadonlySet<string | undefined>,
  found: Map<string | undefined, AppRevision>,
): Promise<void> {
  for (let page = 1; ; page++) {
    const { revisions, pageCount } = await getAppRevisions(cloud, { appId, page });
    for (const revision of revisions) {
      const { operationId } = revision;
      if (operationId !== undefined && operationIds.has(operationId)) found.set(operationId, revision);
    }
    // An empty page ends it too: how many there are is only the cloud's word.
    const isLast = page >= pageCount || revisions.length === 0;
    if (isLast || found.size === operationIds.size) return;
  }
}
