import { type AppId, type ComposeHash, parseComposeHash, withoutPrefix } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { CloudResponseError } from "../errors/index.ts";
import type { CloudClient } from "./create-client.ts";
import { pendingUpdatePreviewSchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetPendingUpdateParameters {
  readonly appId: AppId;
  readonly vmUuid: string;
  readonly composeHash: ComposeHash;
}

/** A change that waits for its hash to be registered, and can still be confirmed or committed. */
export interface PendingUpdate {
  readonly composeHash: ComposeHash;
  /** ISO 8601. */
  readonly expiresAt: string;
}

/** The cloud's code for "nothing is pending". A 404 with another code does not prove that. */
const nothingPending = "ERR-01-404";

/**
 * Reads whether an update of this CVM, or a new CVM made from it, waits for this hash. Returns undefined if none does.
 *
 * @throws CloudError
 *
 * @example
 * import { getPendingUpdate } from "dstack-toolkit/cloud";
 * import { appId, cloud, composeHash, vmUuid } from "./app.js";
 * const pending = await getPendingUpdate(cloud, { appId, vmUuid, composeHash });
 */
export async function getPendingUpdate(
  client: CloudClient,
  { appId, vmUuid, composeHash }: GetPendingUpdateParameters,
): Promise<PendingUpdate | undefined> {
  const [app, hash] = [withoutPrefix(appId), withoutPrefix(composeHash)];
  const path = apiPath`/apps/${app}/pending-updates/${vmUuid}/${hash}/preview`;
  try {
    return await readJson(client, { path }, (body) => {
      const { pending, expires_at } = pendingUpdatePreviewSchema.parse(body);
      return { composeHash: parseComposeHash(pending.compose_hash), expiresAt: cleanText(expires_at) };
    });
  } catch (error) {
    const isNothing = error instanceof CloudResponseError && error.answer.errorCode === nothingPending;
    if (isNothing && error.status === 404) return undefined;
    throw error;
  }
}

export const safeGetPendingUpdate = safe(getPendingUpdate);
