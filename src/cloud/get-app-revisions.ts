import { type AppId, type ComposeHash, parseComposeHash, withoutPrefix } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import type { CloudClient } from "./create-client.ts";
import { type Revision, revisionListSchema } from "./protocol.ts";
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
  /** Name of the CVM when the cloud answered. */
  readonly cvmName: string;
  readonly composeHash: ComposeHash;
  /** ISO 8601, as the cloud tells it. */
  readonly createdAt: string;
  /** `create` or `update`. */
  readonly kind: string;
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
      revisions: revisions.map(toAppRevision),
      pageCount: total_pages,
    };
  });
}

/** @throws InvalidHexError */
export function toAppRevision(wire: Revision): AppRevision {
  return {
    id: cleanText(wire.revision_id),
    vmUuid: wire.vm_uuid,
    cvmName: cleanText(wire.cvm.name),
    composeHash: parseComposeHash(wire.compose_hash),
    createdAt: cleanText(wire.created_at),
    kind: cleanText(wire.operation_type),
    operationId: wire.trace_id ?? undefined,
  };
}

export const safeGetAppRevisions = safe(getAppRevisions);
