import { type AppId, type ComposeHash, parseComposeHash, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { revisionListSchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetAppRevisionsParameters {
  readonly appId: AppId;
  /** From 1 on. @default 1 */
  readonly page?: number | undefined;
  /** @default 100 */
  readonly pageSize?: number | undefined;
}

export interface AppRevisions {
  /** Newest first. */
  readonly revisions: readonly AppRevision[];
  readonly pageCount: number;
}

/** A change of a CVM that the cloud accepted: its creation or an update. */
export interface AppRevision {
  readonly id: string;
  readonly vmUuid: string;
  readonly composeHash: ComposeHash;
  /** Correlation id of the operation that makes the change. */
  readonly operationId: string | undefined;
}

/**
 * Lists one page of the changes of an app's CVMs. Throws like getAppCvms.
 *
 * @throws CloudError
 *
 * @example
 * import { getAppRevisions } from "dstack-toolkit/cloud";
 * import { appId, cloud } from "./app.js";
 * const { revisions } = await getAppRevisions(cloud, { appId, pageSize: 10 });
 */
export async function getAppRevisions(
  client: CloudClient,
  { appId, page = 1, pageSize = 100 }: GetAppRevisionsParameters,
): Promise<AppRevisions> {
  const path = `${apiPath`/apps/${withoutPrefix(appId)}/revisions`}?page=${page}&page_size=${pageSize}`;
  return readJson(client, { path }, (body) => {
    const { revisions, total_pages } = revisionListSchema.parse(body);
    return {
      revisions: revisions.map((revision) => ({
        id: revision.revision_id,
        vmUuid: revision.vm_uuid,
        composeHash: parseComposeHash(revision.compose_hash),
        operationId: revision.trace_id ?? undefined,
      })),
      pageCount: total_pages,
    };
  });
}

export const safeGetAppRevisions = safe(getAppRevisions);
