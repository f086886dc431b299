import type { CloudClient } from "../cloud/create-client.ts";
import { type AppRevisionDetail, getAppRevision } from "../cloud/get-app-revision.ts";
import { type AppRevision, getAppRevisions } from "../cloud/get-app-revisions.ts";
import { type AppCompose, type AppComposeChanges, changeAppCompose } from "../core/app-compose.ts";
import { computeComposeHash, hashAppComposeText } from "../core/compose-hash.ts";
import { diffAppCompose } from "../core/hash-mismatch.ts";
import type { AppId, ComposeHash } from "../core/ids.ts";
import { CloudProtocolError, InvalidArgumentError, RevisionNotReproducibleError } from "../errors/index.ts";
import { listProvingHashes } from "./steps/document.ts";

export interface ReadRevisionParameters {
  readonly appId: AppId;
  /**
   * The id of a revision, its number (`3` for `rev_3`), a compose hash, or `previous`: the newest revision of the CVM
   * with another compose hash than the one in force, which is not revoked.
   */
  readonly revision: string;
  readonly vmUuid: string | undefined;
  /** In force now. */
  readonly composeHash: ComposeHash | undefined;
  /** Compose hashes that `previous` skips and that no error names. */
  readonly revoked?: ReadonlySet<string> | undefined;
}

/**
 * Finds an app's revision and reads its document. The document has the compose hash that the cloud lists for it;
 * whether the owner ever allowed that hash is another question.
 *
 * @throws InvalidArgumentError if the cloud lists no such revision, CloudProtocolError if the document has another hash,
 * and other CloudErrors
 */
export async function readRevision(cloud: CloudClient, parameters: ReadRevisionParameters): Promise<AppRevisionDetail> {
  const { appId } = parameters;
  const listed = await findRevision(cloud, parameters);
  const detail = await getAppRevision(cloud, { appId, revisionId: listed.id });
  const { documentText, document } = detail;
  const hashes = [
    ...(documentText === undefined ? [] : [hashAppComposeText(documentText)]),
    ...listProvingHashes(document).map(({ hash }) => hash),
  ];
  if (!hashes.includes(listed.composeHash)) {
    const problem = `the document has hash ${hashes[0]}, but the list of revisions says ${listed.composeHash}`;
    throw new CloudProtocolError("GET", `/apps/${appId}/revisions/${listed.id}`, problem);
  }
  return { ...detail, ...listed };
}

/** Pages of the list that are read at most, with 100 revisions each. */
const mostPages = 50;
/** Revisions that an error names. */
const mostNamed = 10;

async function findRevision(cloud: CloudClient, parameters: ReadRevisionParameters): Promise<AppRevision> {
  const { appId, revision: wanted, revoked } = parameters;
  const isWanted = matcherOf(parameters);
  const newest: AppRevision[] = [];
  for (let page = 1; page <= mostPages; page++) {
    const { revisions, pageCount } = await getAppRevisions(cloud, { appId, page });
    const found = revisions.find(isWanted);
    if (found !== undefined) return found;
    const named = revisions.filter((one) => !revoked?.has(one.composeHash));
    newest.push(...named.slice(0, mostNamed - newest.length));
    if (page >= pageCount || revisions.length === 0) break;
  }
  const names = newest.map(({ id, createdAt, composeHash }) => `${id} (${createdAt}, ${composeHash})`);
  throw new InvalidArgumentError(
    wanted === "previous"
      ? "The cloud lists no earlier revision of this CVM with another compose hash."
      : `The cloud lists no revision ${wanted} of app ${appId}.`,
    {
      nextStep: `Name one of the app's revisions. The newest are: ${names.join(", ") || "none"}.`,
      context: { appId, revision: wanted, newest },
    },
  );
}

function matcherOf({ revision, vmUuid, composeHash, revoked }: ReadRevisionParameters): (one: AppRevision) => boolean {
  if (revision === "previous") {
    const isSameCvm = (uuid: string) => vmUuid !== undefined && bare(uuid) === bare(vmUuid);
    return (one) => isSameCvm(one.vmUuid) && one.composeHash !== composeHash && !revoked?.has(one.composeHash);
  }
  const hash = /^(?:0x)?([0-9a-f]{64})$/i.exec(revision)?.[1]?.toLowerCase();
  if (hash !== undefined) return (one) => one.composeHash === `0x${hash}`;
  return ({ id }) => id === revision || (/^\d+$/.test(revision) && id === `rev_${revision}`);
}

function bare(uuid: string): string {
  return uuid.replaceAll("-", "").toLowerCase();
}

/** What an update must set to make a CVM run the document of a revision. */
export interface ChangesToRevision extends AppComposeChanges {
  /** The hash of the result, which is the revision's. */
  readonly provenComposeHash: ComposeHash;
}

/**
 * Returns the fields by which a revision's document differs from the current one.
 *
 * @throws RevisionNotReproducibleError if an update cannot set one of them, InvalidAppComposeError
 */
export function changesToRevision(
  current: AppCompose,
  { id, composeHash, document }: Pick<AppRevisionDetail, "id" | "composeHash" | "document">,
): ChangesToRevision {
  const fields = diffAppCompose(current, document).map(({ field }) => field);
  const isChanged = (field: string) => fields.includes(field);
  const changes: AppComposeChanges = {
    dockerCompose: isChanged("docker_compose_file") ? (document.docker_compose_file ?? undefined) : undefined,
    preLaunchScript: isChanged("pre_launch_script") ? (document.pre_launch_script ?? "") : undefined,
    // Also if it is the same: a new environment must not change the names.
    allowedEnvs: document.allowed_envs ?? (isChanged("allowed_envs") ? [] : undefined),
    publicLogs: isChanged("public_logs") ? (document.public_logs ?? undefined) : undefined,
    publicSysinfo: isChanged("public_sysinfo") ? (document.public_sysinfo ?? undefined) : undefined,
    publicTcbinfo: isChanged("public_tcbinfo") ? (document.public_tcbinfo ?? undefined) : undefined,
  };
  const result = changeAppCompose(current, changes);
  if (computeComposeHash(result) !== composeHash) {
    throw new RevisionNotReproducibleError(
      id,
      diffAppCompose(result, document).map(({ field }) => field),
    );
  }
  return { ...changes, provenComposeHash: composeHash };
}
