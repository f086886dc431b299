import { readAllowlist } from "../../chain/read-app.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { getComposeFile } from "../../cloud/get-compose-file.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import {
  type AppDocument,
  type BackendFacts,
  examineHashes,
  type HashExamination,
  hashesToAsk,
  readAppDocument,
} from "../../core/examine-hashes.ts";
import type { Generation } from "../../core/generation.ts";
import type { ComposeHash } from "../../core/ids.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { listCvms } from "../connect/list-cvms.ts";

export interface ExamineFileParameters {
  readonly text: string;
  readonly preLaunchScript: string | undefined;
  readonly name: string | undefined;
  readonly given: ComposeHash | undefined;
  /** What to compare with; undefined computes only. */
  readonly target: HashTarget | undefined;
}

export interface HashTarget {
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly app: ConnectedApp | undefined;
  readonly cloud: CloudClient | undefined;
  /** The one CVM to compare with. By default all of the app that the cloud shows. */
  readonly cvm: string | undefined;
}

export interface ExaminedFile {
  readonly kind: AppDocument["kind"];
  /** The CVM it was compared with; undefined where no CVM was asked. */
  readonly cvm: string | undefined;
  readonly cvmId: string | undefined;
  /** Of the app's contract; undefined where none was asked. */
  readonly generation: Generation | undefined;
  readonly examination: HashExamination;
}

/**
 * Compares a file with every CVM of an app that the cloud shows, and with the app's contract: one examination per CVM,
 * because a docker compose file means another manifest in each.
 *
 * @throws InvalidAppComposeError, CloudError, ChainError
 */
export async function examineFile(parameters: ExamineFileParameters): Promise<readonly ExaminedFile[]> {
  const { target, given } = parameters;
  const app = target?.app;
  const backends = target === undefined ? [] : await readBackends(target);
  return Promise.all(
    (backends.length === 0 ? [undefined] : backends).map(async (backend) => {
      const document = readAppDocument({ ...parameters, current: backend?.document });
      const facts = { document, backend, given };
      const allowlist = app && (await readAllowed(app, hashesToAsk(facts)));
      const examination = examineHashes({ ...facts, isAllowed: allowlist?.isAllowed });
      const { cvm, cvmId } = backend ?? {};
      return { kind: document.kind, cvm, cvmId, generation: allowlist?.generation, examination };
    }),
  );
}

interface Backend extends BackendFacts {
  readonly cvmId: string;
}

async function readBackends({ app, cloud, cvm }: HashTarget): Promise<readonly Backend[]> {
  if (cloud === undefined) return [];
  const backends = (await findCvms(cloud, app, cvm)).map(async ({ id, name, composeHash }): Promise<Backend[]> => {
    if (composeHash === undefined) return [];
    return [{ cvm: name, cvmId: id, composeHash, document: await getComposeFile(cloud, { cvm: id }) }];
  });
  return (await Promise.all(backends)).flat();
}

/** An app whose CVMs belong to somebody else is judged by its contract alone. */
async function findCvms(cloud: CloudClient, app: ConnectedApp | undefined, cvm: string | undefined) {
  if (cvm !== undefined) return [await getCvm(cloud, { cvm })];
  return app === undefined ? [] : listCvms(cloud, app.appId);
}

async function readAllowed({ client, appId }: ConnectedApp, composeHashes: readonly ComposeHash[]) {
  const answers = await Promise.all(
    composeHashes.map(async (composeHash) => ({
      composeHash,
      ...(await readAllowlist(client, { appId, composeHash })),
    })),
  );
  const allowed = new Set(answers.filter((answer) => answer.composeHashAllowed).map(({ composeHash }) => composeHash));
  return { isAllowed: (hash: ComposeHash) => allowed.has(hash), generation: answers[0]?.generation };
}
