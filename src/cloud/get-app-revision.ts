import { type AppCompose, checkAppCompose, parseAppCompose } from "../core/app-compose.ts";
import { type AppId, withoutPrefix } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import type { CloudClient } from "./create-client.ts";
import { type AppRevision, toAppRevision } from "./get-app-revisions.ts";
import { revisionDetailSchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetAppRevisionParameters {
  readonly appId: AppId;
  /** As `getAppRevisions` lists it. */
  readonly revisionId: string;
}

export interface AppRevisionDetail extends AppRevision {
  readonly document: AppCompose;
  /** The exact text whose SHA-256 is the compose hash. Undefined if the cloud answers the parsed document only. */
  readonly documentText: string | undefined;
}

/**
 * Reads one change of an app's CVMs with its document. The cloud also keeps the encrypted environment of the revision,
 * which only the app can decrypt; it is not returned. Nothing proves here that the document has the compose hash.
 *
 * @throws CloudError
 *
 * @example
 * import { getAppRevision } from "dstack-toolkit/cloud";
 * import { appId, cloud } from "./app.js";
 * const { document, composeHash } = await getAppRevision(cloud, { appId, revisionId: "rev_3" });
 */
export async function getAppRevision(
  client: CloudClient,
  { appId, revisionId }: GetAppRevisionParameters,
): Promise<AppRevisionDetail> {
  const path = `${apiPath`/apps/${withoutPrefix(appId)}/revisions/${revisionId}`}?raw_compose_file=true`;
  return readJson(client, { path }, (body) => {
    const { compose_file, ...revision } = revisionDetailSchema.parse(body);
    const isText = typeof compose_file === "string";
    return {
      ...toAppRevision(revision),
      document: isText ? parseAppCompose(compose_file) : checkAppCompose(compose_file as JsonObject), // parsed from JSON
      documentText: isText ? compose_file : undefined,
    };
  });
}

export const safeGetAppRevision = safe(getAppRevision);
