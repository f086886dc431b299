import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { safeGetApp } from "../cloud/get-app.ts";
import { safeGetAppCvms } from "../cloud/get-app-cvms.ts";
import { type AppRevision, getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getOperationKinds } from "../cloud/get-operation-kinds.ts";
import { getPendingUpdate } from "../cloud/get-pending-update.ts";
import { type AppId, type ComposeHash, nameOfCvm } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { CloudResponseError, type DstackError, isDstackError, WrongChainError } from "../errors/index.ts";
import type { CvmReference, HashUse, PreparedHash, UnknownFact } from "./allowlist-use.ts";

export interface ReadCloudUseParameters {
  readonly appId: AppId;
  /** The chain the app's contract was read on. */
  readonly chainId: number;
  /** Hashes for which to ask the cloud about prepared updates. */
  readonly composeHashes: readonly ComposeHash[];
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CloudUse {
  /** Whether the cloud answered for the app. */
  readonly isAnswered: boolean;
  readonly running: readonly HashUse[];
  readonly movingTo: readonly HashUse[];
  readonly prepared: readonly PreparedHash[];
  readonly unknowns: readonly UnknownFact[];
}

/** Enough to hide the latency, and few enough for a rate limit. */
const requestsAtOnce = 8;

/**
 * Asks the cloud what uses an app's hashes. The order matters. If a prepared update is committed during the read, it is
 * no longer prepared and starts to move a CVM. So the prepared updates are read first, and the CVMs once more after
 * them. What the cloud does not answer becomes an unknown fact. Its earlier answers still count: a caller who accepts
 * an unknown fact does not accept a known one.
 *
 * @throws WrongChainError if the cloud's CVMs ask a contract on another chain
 */
export async function readCloudUse(cloud: CloudClient, parameters: ReadCloudUseParameters): Promise<CloudUse> {
  const { appId, chainId } = parameters;
  const before = await safeGetAppCvms(cloud, { appId });
  if (!before.success) return unknownCloudUse(describeMissingCvms(before.error));
  const { prepared, problem } = await readPrepared(cloud, before.data, parameters);
  const after = await safeGetAppCvms(cloud, { appId });
  if (!after.success) {
    return { ...unknownCloudUse(describeMissingCvms(after.error)), running: before.data.flatMap(toUse), prepared };
  }
  const counted = await safeGetApp(cloud, { appId });
  const targets = await findMoveTargets(cloud, { appId, cvms: after.data });

  const elsewhere = after.data.map((cvm) => cvm.chainId ?? chainId).find((id) => id !== chainId);
  if (elsewhere !== undefined) throw new WrongChainError(elsewhere, chainId);
  const newcomers = after.data.filter(({ id }) => before.data.every((cvm) => cvm.id !== id));
  return {
    isAnswered: true,
    running: distinct([...after.data, ...before.data].flatMap(toUse)),
    movingTo: targets.movingTo,
    prepared,
    unknowns: [
      ...after.data.filter(({ composeHash }) => composeHash === undefined).map(withoutHash),
      ...countProblem(counted, after.data.length),
      ...targets.problems.map((problem) => ({ kind: "running-hashes", problem }) as const),
      ...newcomers.map(appeared),
      ...(problem === undefined ? [] : [{ kind: "prepare-tokens", problem } as const]),
    ],
  };
}

/** The unknown facts if the cloud cannot be asked about an app. */
export function unknownCloudUse(problem: string): CloudUse {
  return {
    isAnswered: false,
    running: [],
    movingTo: [],
    prepared: [],
    unknowns: [
      { kind: "running-hashes", problem: `The hashes that the app's CVMs run are not known: ${problem}` },
      { kind: "prepare-tokens", problem: `The prepared updates are not known: ${problem}` },
    ],
  };
}

export function toReference({ id, name, status }: Cvm): CvmReference {
  return { id, name, status };
}

async function readPrepared(
  cloud: CloudClient,
  cvms: readonly Cvm[],
  { appId, composeHashes, onProgress, signal }: ReadCloudUseParameters,
): Promise<{ readonly prepared: readonly PreparedHash[]; readonly problem: string | undefined }> {
  const questions = cvms.flatMap((cvm) => composeHashes.map((composeHash) => ({ cvm, composeHash })));
  const answers: (PreparedHash | undefined)[] = [];
  const prepared = () => answers.filter((answer) => answer !== undefined);
  let done = 0;
  try {
    await mapLimited(
      [...questions.entries()],
      async ([index, { cvm, composeHash }]) => {
        const pending = await getPendingUpdate(cloud, { appId, vmUuid: cvm.vmUuid ?? cvm.id, composeHash });
        onProgress?.(++done, questions.length);
        answers[index] = pending && { composeHash, cvm: toReference(cvm), expiresAt: pending.expiresAt };
      },
      { limit: requestsAtOnce, signal },
    );
    return { prepared: prepared(), problem: undefined };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { prepared: prepared(), problem: `Not all prepared updates are known: ${error.message}` };
  }
}

function describeMissingCvms(error: DstackError): string {
  const isUnseen = error instanceof CloudResponseError && error.status === 404 && !error.answer.isUnknownPath;
  return isUnseen
    ? "the API key's workspace has no CVM of this app, but another workspace may have one."
    : error.message;
}

function toUse(cvm: Cvm): HashUse[] {
  return cvm.composeHash === undefined ? [] : [{ composeHash: cvm.composeHash, cvm: toReference(cvm) }];
}

/** One use per CVM and hash; keeps the first of several. */
function distinct(uses: readonly HashUse[]): readonly HashUse[] {
  const isSame = (one: HashUse, other: HashUse) => one.cvm.id === other.cvm.id && one.composeHash === other.composeHash;
  return uses.filter((use, index) => uses.findIndex((other) => isSame(use, other)) === index);
}

function withoutHash(cvm: Cvm): UnknownFact {
  return {
    kind: "running-hashes",
    problem: `The cloud reports no compose hash of CVM ${nameOfCvm(cvm)} (${cvm.status}).`,
  };
}

function appeared(cvm: Cvm): UnknownFact {
  return { kind: "prepare-tokens", problem: `CVM ${nameOfCvm(cvm)} appeared while the cloud was being read.` };
}

function countProblem(counted: Awaited<ReturnType<typeof safeGetApp>>, listed: number): UnknownFact[] {
  if (!counted.success) return [{ kind: "running-hashes", problem: counted.error.message }];
  const { cvmCount } = counted.data;
  if (cvmCount <= listed) return [];
  return [
    {
      kind: "running-hashes",
      problem: `The cloud counts ${cvmCount} CVMs, but lists only ${listed} for this API key.`,
    },
  ];
}

export interface FindMoveTargetsParameters {
  readonly appId: AppId;
  readonly cvms: readonly Cvm[];
}

export interface FindMoveTargetsReturnType {
  readonly movingTo: readonly HashUse[];
  /** One sentence for each CVM whose running operation has an unknown target. */
  readonly problems: readonly string[];
}

/** Operations that boot what a CVM has already, or nothing. */
const switching = ["start", "stop", "shutdown", "restart"];

/**
 * Finds the hashes that CVMs with a running operation will boot, from the app's revisions. Targets that were found
 * count, even if another request to the cloud fails.
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
      .map((cvm) => `CVM ${nameOfCvm(cvm)} is ${cvm.status}, but the cloud does not report the new compose hash.`);
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

/** Adds the revisions of these operations. The cloud lists the newest first, so reading stops when all are found. */
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
    // An empty page ends the list too, because the page count comes only from the cloud.
    const isLast = page >= pageCount || revisions.length === 0;
    if (isLast || found.size === operationIds.size) return;
  }
}
