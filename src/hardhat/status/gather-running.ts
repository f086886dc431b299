import type { CloudClient } from "../../cloud/create-client.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { safeGetComposeFile } from "../../cloud/get-compose-file.ts";
import type { AppCompose } from "../../core/app-compose.ts";
import { type AppId, nameOfCvm } from "../../core/ids.ts";
import { isDstackError } from "../../errors/index.ts";
import { listCvms } from "../connect/list-cvms.ts";

/** What the cloud says of an app. */
export type Running =
  | { readonly kind: "noKey" }
  | { readonly kind: "unknown"; readonly reason: string }
  | {
      readonly kind: "known";
      readonly cvms: readonly Cvm[];
      /** What they run, each document once. */
      readonly documents: readonly AppCompose[];
      /** One sentence for each document that nobody looked into. */
      readonly unread: readonly string[];
    };

/** Documents are fetched once per hash, and of no more hashes than this. */
const mostDocuments = 10;

/** Asks the cloud, where there is one. A cloud that cannot answer is an answer here: the chain can still be shown. */
export async function gatherRunning(cloud: CloudClient | undefined, appId: AppId): Promise<Running> {
  if (cloud === undefined) return { kind: "noKey" };
  try {
    const cvms = await listCvms(cloud, appId);
    const distinct = [...new Map(cvms.map((cvm) => [cvm.composeHash, cvm])).values()];
    const replies = await Promise.all(
      distinct
        .slice(0, mostDocuments)
        .map(async (cvm) => ({ cvm, ...(await safeGetComposeFile(cloud, { cvm: cvm.id })) })),
    );
    return {
      kind: "known",
      cvms,
      documents: replies.flatMap((reply) => (reply.success ? [reply.data] : [])),
      unread: [
        ...replies.flatMap((reply) =>
          reply.success ? [] : `What ${nameOfCvm(reply.cvm)} runs was not looked into: ${reply.error.message}`,
        ),
        ...distinct
          .slice(mostDocuments)
          .map((cvm) => `What ${nameOfCvm(cvm)} runs was not looked into: more than ${mostDocuments} documents run.`),
      ],
    };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { kind: "unknown", reason: error.message };
  }
}
