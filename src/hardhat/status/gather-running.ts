import type { CloudClient } from "../../cloud/create-client.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { getAppCvms } from "../../cloud/get-app-cvms.ts";
import { getComposeFile } from "../../cloud/get-compose-file.ts";
import type { AppCompose } from "../../core/app-compose.ts";
import type { AppId } from "../../core/ids.ts";
import { CloudResponseError, isDstackError } from "../../errors/index.ts";

/** What the cloud says of an app. */
export type Running =
  | { readonly kind: "noKey" }
  | { readonly kind: "unknown"; readonly reason: string }
  | { readonly kind: "known"; readonly cvms: readonly Cvm[]; readonly documents: readonly AppCompose[] };

/** Documents are fetched once per hash, and of no more hashes than this. */
const mostDocuments = 10;

/** Asks the cloud, where there is one. A cloud that cannot answer is an answer here: the chain can still be shown. */
export async function gatherRunning(cloud: CloudClient | undefined, appId: AppId): Promise<Running> {
  if (cloud === undefined) return { kind: "noKey" };
  try {
    const cvms = await listCvms(cloud, appId);
    const byHash = new Map(cvms.map((cvm) => [cvm.composeHash, cvm]));
    const wanted = [...byHash.values()].slice(0, mostDocuments);
    const documents = await Promise.all(wanted.map(({ id }) => getComposeFile(cloud, { cvm: id })));
    return { kind: "known", cvms, documents };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { kind: "unknown", reason: error.message };
  }
}

async function listCvms(cloud: CloudClient, appId: AppId): Promise<readonly Cvm[]> {
  try {
    return await getAppCvms(cloud, { appId });
  } catch (error) {
    if (error instanceof CloudResponseError && error.status === 404) return [];
    throw error;
  }
}
