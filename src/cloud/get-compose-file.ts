import { type AppCompose, parseAppCompose } from "../core/app-compose.ts";
import type { CloudClient } from "./create-client.ts";
import { apiPath, parseReply, readReply, safe } from "./replies.ts";

export interface GetComposeFileParameters {
  readonly cvm: string;
}

/**
 * Reads the current app-compose document. The answer is the parsed document, not the bytes that were hashed.
 *
 * @throws CloudError
 *
 * @example
 * import { getComposeFile } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const document = await getComposeFile(cloud, { cvm: "my-app" });
 */
export async function getComposeFile(client: CloudClient, { cvm }: GetComposeFileParameters): Promise<AppCompose> {
  return readReply(client, { path: apiPath`/cvms/${cvm}/compose_file` }, (reply) =>
    parseReply(reply, () => parseAppCompose(reply.text)),
  );
}

export const safeGetComposeFile = safe(getComposeFile);
