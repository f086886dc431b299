import { readAllowlist } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import type { AppRevision } from "../cloud/get-app-revisions.ts";
import { getComposeFile } from "../cloud/get-compose-file.ts";
import type { AppCompose } from "../core/app-compose.ts";
import { computeComposeHash } from "../core/compose-hash.ts";
import { describeDifference } from "../core/document-difference.ts";
import { type AppId, type ComposeHash, nameOfCvm } from "../core/ids.ts";
import {
  HashMismatchError,
  InvalidArgumentError,
  InvalidEnvironmentError,
  type RemovalObjection,
  RevisionRefusedError,
} from "../errors/index.ts";
import { formatTime } from "../output/format.ts";
import { changesToRevision, readRevision } from "../update/revision.ts";
import type { UpdateRequest } from "../update/run.ts";
import { type Origin, readAppLists, readOrigin } from "./app-history.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { CommandHost } from "./host.ts";
import { describeRevocation, findRevocation, listRevokedHashes, type Revocation } from "./revocations.ts";
import type { TaskIo } from "./run.ts";

/** What an update goes back to, for `--json`. */
export interface Rollback extends Pick<AppRevision, "id" | "createdAt" | "composeHash" | "kind" | "cvmName"> {
  /**
   * `allowed`: the contract allows the hash now. `removed`: it did before, and the owner must allow it again. `unknown`:
   * no event shows that it ever did. `offChain`: the CVM's KMS has no contract.
   */
  readonly status: "allowed" | "removed" | "unknown" | "offChain";
  /** When the owner removed the hash, and by which address. Null if it was not removed, or that is not known. */
  readonly removed: Origin | null;
  /** That this project has revoked the hash, and why. Null if its ledger does not say so. */
  readonly revoked: Revocation | null;
}

/** @throws InvalidArgumentError if an option contradicts `--revision` */
export function refuseWithRevision({
  revision,
  compose,
  preLaunchScript,
}: {
  readonly revision?: string | undefined;
  readonly compose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
}): void {
  if (revision === undefined) return;
  const other = compose !== undefined ? "--compose" : preLaunchScript !== undefined ? "--pre-launch-script" : undefined;
  if (other === undefined) return;
  throw new InvalidArgumentError(`--revision takes the whole document of the revision, so ${other} contradicts it.`, {
    nextStep: "Give one of them.",
  });
}

export interface WithRevisionParameters extends Omit<PrepareRollbackParameters, "revision" | "cvm" | "isDryRun"> {
  readonly args: { readonly revision?: string | undefined; readonly dryRun?: boolean | undefined };
  readonly cvm: Cvm;
}

/** The request, as `prepareRollback` returns it if `--revision` is given. */
export async function withRevision(
  io: TaskIo,
  host: CommandHost,
  { args, cvm, ...rest }: WithRevisionParameters,
): Promise<{ readonly request: UpdateRequest; readonly rollback: Rollback | undefined }> {
  const { revision, dryRun: isDryRun = false } = args;
  const { appId } = cvm;
  if (revision === undefined) return { request: rest.request, rollback: undefined };
  if (appId === undefined) {
    throw new InvalidArgumentError(`${nameOfCvm(cvm)} has no app, so it has no revisions.`, {
      nextStep: "Name a CVM of an app.",
    });
  }
  return prepareRollback(io, host, { ...rest, revision, isDryRun, cvm: { ...cvm, appId } });
}

interface PrepareRollbackParameters {
  /** As the user named it. */
  readonly revision: string;
  readonly cloud: CloudClient;
  readonly cvm: Cvm & { readonly appId: AppId };
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly app: ConnectedApp | undefined;
  readonly request: UpdateRequest;
  readonly accepted: ReadonlySet<string>;
  readonly isDryRun: boolean;
}

interface PreparedRollback {
  readonly request: UpdateRequest;
  readonly rollback: Rollback;
}

/**
 * Turns an update into the one that goes back to a revision. The document comes from the cloud, so its hash must be one
 * that the app's contract allows, or allowed before. Shows the revision, and how its document differs from the present
 * one. A hash that the owner has removed must be agreed to: on a terminal, or by its name.
 *
 * @throws RevisionRefusedError, RevisionNotReproducibleError, InvalidEnvironmentError, InvalidArgumentError, CloudError,
 * ChainError, AbortError if the user declines
 */
async function prepareRollback(
  io: TaskIo,
  host: CommandHost,
  { revision: wanted, cloud, cvm, app, request, accepted, isDryRun }: PrepareRollbackParameters,
): Promise<PreparedRollback> {
  const { output } = io;
  const { appId, vmUuid, composeHash: running } = cvm;
  const revision = await readRevision(cloud, {
    ...{ appId, revision: wanted, vmUuid, composeHash: running },
    revoked: app === undefined ? undefined : await readRevokedHashes(app),
  });
  const current = await getComposeFile(cloud, { cvm: cvm.id });
  const { id, createdAt, composeHash, kind, cvmName, document } = revision;
  requireAllowedNames(request, id, document);
  const changes = changesToRevision(current, revision);
  const found = app === undefined ? offChain : await findStatus(io, host, app, composeHash);
  const rollback: Rollback = { id, createdAt, composeHash, kind, cvmName, ...found };

  output.title(`Rollback of ${nameOfCvm(cvm)} to revision ${id}`);
  output.line(`  made         ${timeOf(createdAt)}, by the ${kind} of ${cvmName}`);
  output.line(`  hash         ${composeHash}`);
  output.line(`  app          ${describeStatus(rollback)}`);
  if (cvm.status === "stopped") output.line("  CVM          is stopped, and stays stopped until you start it");
  if (found.revoked !== null)
    output.line(
      found.revoked.state === "removed"
        ? `  REVOKED      ${describeRevocation(found.revoked)}`
        : `  revocation   planned ${describeRevocation(found.revoked)}`,
    );
  for (const line of describeEnvironment(request)) output.line(`  ${line}`);
  for (const line of describeNames(request, { current, document })) output.line(`  ! ${line}`);
  const difference = describeDifference(current, document);
  output.line(difference.length === 0 ? "The CVM already has this document." : "Changes of the present document:");
  for (const line of difference) output.line(`  ${line}`);

  await requireConsent(io, { rollback, accepted, isDryRun });
  const { reviewDocument } = request;
  return {
    rollback,
    request: {
      ...request,
      ...changes,
      // The CVM's document may change before the update reads it again.
      reviewDocument: async (requested) => {
        requireRevision(requested, composeHash);
        await reviewDocument?.(requested);
      },
    },
  };
}

async function readRevokedHashes({ appId, openLedger }: ConnectedApp): Promise<ReadonlySet<string>> {
  using ledger = await openLedger({ isKept: false });
  return listRevokedHashes(ledger, appId);
}

const offChain = { status: "offChain", removed: null, revoked: null } as const;

/** @throws RpcUnavailableError, ContractRevertedError, NoContractError */
async function findStatus(
  io: TaskIo,
  host: CommandHost,
  app: ConnectedApp,
  composeHash: ComposeHash,
): Promise<Pick<Rollback, "status" | "removed" | "revoked">> {
  const { client, appId } = app;
  using ledger = await app.openLedger({ isKept: false });
  const { composeHashAllowed } = await readAllowlist(client, { appId, composeHash });
  const revoked = findRevocation(ledger, { appId, composeHash }, composeHashAllowed) ?? null;
  if (composeHashAllowed === true) return { status: "allowed", removed: null, revoked };
  const { history } = await readAppLists(io, host, app, {});
  const ofHash = history.changes.filter((change) => "composeHash" in change && change.composeHash === composeHash);
  const last = ofHash.findLast(({ kind }) => kind === "composeHashRemoved");
  const removed = last === undefined ? null : await readOrigin(client, last);
  // An index is not trusted, so its events do not prove that the owner ever allowed the hash.
  const wasAllowed = history.indexed === undefined && ofHash.some(({ kind }) => kind === "composeHashAdded");
  return { status: wasAllowed ? "removed" : "unknown", removed, revoked };
}

/**
 * The revision's names belong to its hash, so a new environment can set no other name.
 *
 * @throws InvalidEnvironmentError
 */
function requireAllowedNames({ environment = [] }: UpdateRequest, revision: string, { allowed_envs }: AppCompose) {
  const other = environment.find(({ key }) => allowed_envs?.includes(key) !== true);
  if (other === undefined) return;
  throw new InvalidEnvironmentError(`The environment sets ${other.key}, which revision ${revision} does not allow.`, {
    nextStep: `Set only what it allows: ${allowed_envs?.join(", ") || "nothing"}. With other names, the document has another hash.`,
    context: { name: other.key, revision, allowed: allowed_envs ?? [] },
  });
}

function timeOf(createdAt: string): string {
  return Number.isNaN(Date.parse(createdAt)) ? createdAt : `${formatTime(createdAt)} UTC`;
}

function describeStatus({ status, removed }: Rollback): string {
  switch (status) {
    case "allowed":
      return "allows this hash now";
    case "offChain":
      return "has no contract: its KMS keeps the policy off chain";
    case "removed":
      return `no longer allows this hash, so the owner must allow it again${describeRemoval(removed)}`;
    case "unknown":
      return `does not allow this hash, and no event shows that it ever did${describeRemoval(removed)}`;
  }
}

function describeRemoval(removed: Origin | null): string {
  if (removed === null) return "";
  const { time, by, transactionHash } = removed;
  return `; removed ${formatTime(time)} UTC by ${by ?? "an unknown sender"}, transaction ${transactionHash}`;
}

function describeEnvironment({ environment, clearEnvironment }: UpdateRequest): readonly string[] {
  if (clearEnvironment === true) return ["environment  is removed"];
  if (environment !== undefined) return ["environment  is replaced by the given one"];
  return [
    "environment  stays as it is now. The one that the cloud keeps with the",
    "             revision is not used.",
  ];
}

/** Names that the present environment probably lacks, or sets in vain. Only the CVM can decrypt it. */
function describeNames(
  { environment, clearEnvironment }: UpdateRequest,
  { current, document }: { readonly current: AppCompose; readonly document: AppCompose },
): readonly string[] {
  if (environment !== undefined || clearEnvironment === true) return [];
  const [before, after] = [current.allowed_envs ?? [], document.allowed_envs ?? []];
  const missing = after.filter((name) => !before.includes(name));
  const ignored = before.filter((name) => !after.includes(name));
  return [
    ...(missing.length > 0 ? [`Probably not set now, give them with --env-file or -e: ${missing.join(", ")}`] : []),
    ...(ignored.length > 0 ? [`The revision does not allow, so the guest will ignore: ${ignored.join(", ")}`] : []),
  ];
}

/** @throws RevisionRefusedError, AbortError if the user declines */
async function requireConsent(
  io: TaskIo,
  {
    rollback,
    accepted,
    isDryRun,
  }: { readonly rollback: Rollback; readonly accepted: ReadonlySet<string>; readonly isDryRun: boolean },
): Promise<void> {
  const { id, status, composeHash, removed, revoked } = rollback;
  const isRevoked = revoked?.state === "removed";
  const why = isRevoked ? `It was revoked ${describeRevocation(revoked)}.` : "The code may be vulnerable.";
  const objections: readonly RemovalObjection[] = [
    ...(status === "unknown"
      ? [
          {
            acceptAs: "unproven-revision",
            problem: `Only the cloud says that the app ever ran ${composeHash}: its contract does not allow it, and no event shows that it did.`,
          },
        ]
      : []),
    ...(status === "removed" || removed !== null || isRevoked
      ? [
          {
            acceptAs: "removed-revision",
            problem:
              status === "allowed"
                ? `The owner removed ${composeHash} from the app's list, and has allowed it again. ${why}`
                : `The owner removed ${composeHash} from the app's list${describeRemoval(removed)}. ${why}`,
          },
        ]
      : []),
  ].filter(({ acceptAs }) => !accepted.has(acceptAs));
  if (objections.length === 0) return;
  const canAsk = objections.every(({ acceptAs }) => acceptAs === "removed-revision") && !isDryRun;
  if (!canAsk || io.confirmInPerson === undefined) throw new RevisionRefusedError(id, objections);
  for (const { problem } of objections) io.output.line(`CAUTION: ${problem}`);
  await io.confirmInPerson("Go back to it all the same?");
}

/** @throws HashMismatchError */
function requireRevision(requested: AppCompose, expected: ComposeHash): void {
  const composeHash = computeComposeHash(requested);
  if (composeHash === expected) return;
  const explanation = "the CVM's document changed after the revision was compared with it; start again";
  throw new HashMismatchError({ expected, fromCloud: composeHash, explanation });
}
