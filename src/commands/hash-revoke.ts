import { readAllowlist } from "../chain/read-app.ts";
import { systemClock } from "../chain/retry.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { type AppRevision, getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { safeStopCvm } from "../cloud/stop-cvm.ts";
import { type ComposeHash, nameOfCvm } from "../core/ids.ts";
import { removeComposeHashCall } from "../core/owner-calls.ts";
import { poll } from "../core/retry.ts";
import { cleanText } from "../core/text.ts";
import { HashNeededError, isDstackError, type RemovalObjection } from "../errors/index.ts";
import { readAllowedKeys } from "../history/compare-with-state.ts";
import { showWhatRemovalMeans } from "../output/prune.ts";
import type { CvmReference, HashUse } from "../prune/allowlist-use.ts";
import { type CloudUse, readCloudUse, unknownCloudUse } from "../prune/read-cloud-use.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, type ConnectedApp, connectApp } from "./connect-app.ts";
import type { Command, CommandHost } from "./host.ts";
import { listRevokedHashes, recordedRevocation, recordRevocation } from "./revocations.ts";
import { type RevokedCvm, type RevokeResult, showRevoked } from "./revoke-result.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { parseHashes } from "./values.ts";
import { type ChangeAppArguments, changeApp } from "./write.ts";

export interface HashRevokeArguments extends AppArguments, ChangeAppArguments, OutputArguments {
  readonly hashes: readonly string[];
  /** Why, for the people who read the output and the plan. */
  readonly note?: string | undefined;
  /** Stops the CVMs that run a removed hash, without asking for each. */
  readonly stop?: boolean | undefined;
}

/**
 * `dstack hash revoke`: removes vulnerable hashes at once. No keep rule of prune and no unknown fact stops it. Then shows
 * the CVMs that still run them, and offers to stop them. If a run was interrupted, the next one does the rest.
 */
export const hashRevoke: Command<HashRevokeArguments> = (args, host) => runTask(args, (io) => revoke(io, args, host));

async function revoke(io: TaskIo, args: HashRevokeArguments, host: CommandHost): Promise<TaskOutcome> {
  const accepted = parseAccept("hash revoke", args.accept);
  const hashes = [...new Set(parseHashes(args.hashes))];
  const note = cleanText(args.note ?? "") || undefined;
  const app = await connectApp(args, host);
  const { appId, chainId } = app;
  const use = await readUse(app, hashes);
  const { allowed, others, revisions } = await readAllowed(app, hashes, use);
  const isNamed = <Use extends { readonly composeHash: ComposeHash }>({ composeHash }: Use) =>
    hashes.includes(composeHash);
  const change =
    allowed.length === 0
      ? undefined
      : await changeApp(io, args, {
          app,
          calls: allowed.map((composeHash) => removeComposeHashCall({ appId, composeHash })),
          accepted,
          reasonOf: () => ({ rule: "revoked", note }),
          guard: () => requireAgreement(io, { app, use, hashes: allowed, others, accepted, isDryRun: args.dryRun }),
        });
  const isDryRun = args.dryRun === true;
  const left: readonly ComposeHash[] = change === undefined ? [] : (await readAllowed(app, hashes, use)).allowed;
  const earlier = await record(app, { hashes, allowed, left, note, isDryRun });
  const isRemoved = ({ composeHash }: HashUse) => hashes.includes(composeHash) && !left.includes(composeHash);
  const after = change === undefined || isDryRun ? use : await readUse(app, hashes);
  const cvms = await handleCvms(io, app.cloud, after.running.filter(isRemoved), args);
  const outcomeOf = (composeHash: ComposeHash) => {
    if (left.includes(composeHash)) return "allowed";
    if (allowed.includes(composeHash)) return "removed";
    return earlier.has(composeHash) ? "removedBefore" : "notAllowed";
  };
  const result: RevokeResult = {
    hashes: hashes.map((composeHash) => ({ composeHash, outcome: outcomeOf(composeHash) })),
    note: note ?? null,
    cvms: [
      ...cvms,
      ...after.running
        .filter((one) => isNamed(one) && !isRemoved(one))
        .map(({ composeHash, cvm }) => ({ composeHash, ...cvm, action: "waits" as const })),
    ],
    movingTo: after.movingTo.filter(isNamed),
    prepared: after.prepared.filter(isNamed),
    unknowns: after.unknowns,
  };
  const previous = await findPrevious(app, { cvms, revisions, hashes });
  const isOver = left.length > 0 || cvms.every(({ action }) => action === "stopped");
  return {
    result: { appId, chainId, ...(args.plan !== undefined && { planFile: null }), ...change?.result, ...result },
    show: (output) =>
      showRevoked(output, result, {
        ...{ isPlan: args.plan !== undefined, network: app.network, appId },
        ...{ isDryRun, isStopping: args.stop === true, previous },
      }),
    exitCode: isOver && after.unknowns.length === 0 ? 0 : negativeAnswer,
  };
}

interface Recorded {
  readonly hashes: readonly ComposeHash[];
  /** Allowed before this run. */
  readonly allowed: readonly ComposeHash[];
  /** Still allowed. */
  readonly left: readonly ComposeHash[];
  readonly note: string | undefined;
  readonly isDryRun: boolean;
}

/**
 * Records what was removed, and as planned what others must still remove. A removal that was planned earlier and is made
 * by now is recorded too. Returns the hashes whose removal this project had recorded before this run.
 */
async function record(
  { appId, openLedger }: ConnectedApp,
  { hashes, allowed, left, note, isDryRun }: Recorded,
): Promise<ReadonlySet<ComposeHash>> {
  using ledger = await openLedger({ isKept: !isDryRun });
  const earlier = new Set<ComposeHash>();
  for (const composeHash of hashes) {
    const hash = { appId, composeHash };
    const recorded = recordedRevocation(ledger, hash);
    const isAllowed = allowed.includes(composeHash);
    if (!isAllowed && recorded === undefined) continue;
    if (!isAllowed) earlier.add(composeHash);
    const state = left.includes(composeHash) ? "planned" : "removed";
    const isKnown = recorded?.state === state && (note ?? null) === recorded.note;
    if (isDryRun || isKnown || (!isAllowed && recorded?.state === "removed")) continue;
    const at = isAllowed ? new Date().toISOString() : (recorded?.at ?? new Date().toISOString());
    recordRevocation(ledger, hash, { at, note: note ?? recorded?.note ?? null, state });
  }
  return earlier;
}

interface FindPrevious {
  readonly cvms: readonly RevokedCvm[];
  /** Whose hash is allowed, newest first. */
  readonly revisions: readonly AppRevision[];
  readonly hashes: readonly ComposeHash[];
}

/** The revision that each CVM can go back to: its newest one whose hash is allowed and not revoked, by the CVM's id. */
async function findPrevious(
  { appId, openLedger }: ConnectedApp,
  { cvms, revisions, hashes }: FindPrevious,
): Promise<ReadonlyMap<string, string>> {
  if (cvms.length === 0) return new Map();
  using ledger = await openLedger({ isKept: false });
  const revoked = listRevokedHashes(ledger, appId);
  const isOffered = ({ composeHash }: AppRevision) => !hashes.includes(composeHash) && !revoked.has(composeHash);
  return new Map(
    cvms.flatMap(({ id, name }) => {
      const found = revisions.find((one) => one.cvmName === name && isOffered(one));
      return found === undefined ? [] : [[id, found.id]];
    }),
  );
}

async function readUse(
  { appId, chainId, cloud }: ConnectedApp,
  composeHashes: readonly ComposeHash[],
): Promise<CloudUse> {
  if (cloud === undefined) return unknownCloudUse("there is no API key.");
  return readCloudUse(cloud, { appId, chainId, composeHashes });
}

/**
 * Which of the hashes the contract allows, and whether it allows another one: of those that CVMs run, that the
 * configuration pins, and of the app's newest revisions. `others` is undefined if the cloud names none.
 */
async function readAllowed(app: ConnectedApp, hashes: readonly ComposeHash[], use: CloudUse) {
  const { client, appId, cloud, pins } = app;
  const uses = [...use.running, ...use.movingTo, ...use.prepared].map(({ composeHash }) => composeHash);
  const revisions = use.isAnswered && cloud !== undefined ? await findRevisions(cloud, app) : undefined;
  const keys = [...new Set([...hashes, ...uses, ...pins, ...(revisions ?? []).map((one) => one.composeHash)])];
  const { blockNumber } = await readAllowlist(client, { appId });
  const allowed = await readAllowedKeys(client, {
    ...{ appId, blockNumber, keys, retryDelayMs: 250 },
    view: "allowedComposeHashes",
  });
  const others = [...allowed].filter((composeHash) => !hashes.includes(composeHash));
  return {
    allowed: hashes.filter((composeHash) => allowed.has(composeHash)),
    others: others.length > 0 || revisions !== undefined ? others : undefined,
    /** Those of the app's newest revisions whose hash is allowed, newest first. */
    revisions: revisions?.filter(({ composeHash }) => allowed.has(composeHash)) ?? [],
  };
}

async function findRevisions(cloud: CloudClient, { appId }: ConnectedApp): Promise<readonly AppRevision[] | undefined> {
  try {
    return (await getAppRevisions(cloud, { appId })).revisions;
  } catch (error) {
    if (isDstackError(error)) return undefined;
    throw error;
  }
}

interface Agreement {
  readonly app: ConnectedApp;
  readonly use: CloudUse;
  readonly hashes: readonly ComposeHash[];
  readonly others: readonly ComposeHash[] | undefined;
  readonly accepted: ReadonlySet<string>;
  readonly isDryRun: boolean | undefined;
}

/**
 * Shows what the removal breaks, and what is not known. What is known to break must be agreed to: on a terminal, or by
 * its name.
 *
 * @throws HashNeededError if the user cannot be asked, AbortError if they decline
 */
async function requireAgreement(io: TaskIo, { app, use, hashes, others, accepted, isDryRun }: Agreement) {
  const { output } = io;
  const isRevoked = ({ composeHash }: { readonly composeHash: ComposeHash }) => hashes.includes(composeHash);
  const objections: readonly RemovalObjection[] = [
    ...use.running.filter(isRevoked).map(({ composeHash, cvm }) => ({
      acceptAs: "in-use",
      problem: `CVM ${nameOfCvm(cvm)} (${cvm.status}) uses ${composeHash}. Its next boot will be refused.`,
    })),
    ...use.movingTo.filter(isRevoked).map(({ composeHash, cvm }) => ({
      acceptAs: "in-use",
      problem: `The cloud is updating CVM ${nameOfCvm(cvm)} to ${composeHash}. The KMS will refuse that boot.`,
    })),
    ...use.prepared.filter(isRevoked).map(({ composeHash, cvm }) => ({
      acceptAs: "in-use",
      problem: `A prepared update of CVM ${nameOfCvm(cvm)} needs ${composeHash}. The cloud will refuse its commit.`,
    })),
    ...(others?.length === 0
      ? [
          {
            acceptAs: "last-hash",
            problem:
              "No other hash that the cloud or the configuration names is allowed, so no CVM of the app could boot.",
          },
        ]
      : []),
  ];
  for (const { composeHash } of app.pins.map((composeHash) => ({ composeHash })).filter(isRevoked))
    output.line(`Warning: the configuration pins ${composeHash}. Remove it there as well.`);
  for (const { problem } of use.unknowns) output.line(`Not known: ${problem}`);
  if (others === undefined) output.line("Not known: whether the app allows another hash.");
  showWhatRemovalMeans(output);
  const standing = objections.filter(({ acceptAs }) => !accepted.has(acceptAs));
  if (standing.length > 0 && (io.confirmInPerson === undefined || isDryRun)) throw new HashNeededError(standing);
  for (const { problem, acceptAs } of objections) output.line(`CAUTION: ${problem} (${acceptAs})`);
  if (standing.length > 0) await io.confirmInPerson?.("Revoke it all the same?");
}

/** Stops the CVMs that the user wants to stop: all with --stop, or each after a question. */
async function handleCvms(
  io: TaskIo,
  cloud: CloudClient | undefined,
  uses: readonly HashUse[],
  { stop = false, dryRun = false }: HashRevokeArguments,
): Promise<readonly RevokedCvm[]> {
  const handled: RevokedCvm[] = [];
  for (const { composeHash, cvm } of uses) {
    const one = { ...cvm, composeHash };
    if (cvm.status === "stopped" || cloud === undefined) {
      handled.push({ ...one, action: cvm.status === "stopped" ? "stopped" : "left" });
      continue;
    }
    const has = cvm.status === "running" ? "still runs" : "may run";
    io.output.line(`CVM ${nameOfCvm(cvm)} (${cvm.status}) ${has} ${composeHash}.`);
    const isWanted = !dryRun && (stop || (await io.ask?.(`Stop ${nameOfCvm(cvm)} now?`)) === true);
    handled.push({ ...one, ...(isWanted ? await stopAndWait(io, cloud, cvm) : { action: "left" }) });
  }
  return handled;
}

/** Longest wait for a CVM to stop. It is told as stopping after that. */
const stopTimeoutMs = 120_000;

async function stopAndWait(
  { output, signal }: TaskIo,
  cloud: CloudClient,
  cvm: CvmReference,
): Promise<Pick<RevokedCvm, "action" | "status" | "problem">> {
  let { status } = cvm;
  try {
    const reply = await safeStopCvm(cloud, { cvm: cvm.id });
    if (!reply.success) throw reply.error;
    status = reply.data.status;
    await poll(
      { clock: systemClock, signal },
      { everyMs: 2_000, timeoutMs: stopTimeoutMs, onTimeout: (_, fault) => fault ?? stillStopping },
      async () => {
        const latest = await getCvm(cloud, { cvm: cvm.id });
        status = latest.status;
        return status === "stopped" && !latest.busy ? true : undefined;
      },
    );
    output.step("stopped", nameOfCvm(cvm));
    return { action: "stopped", status };
  } catch (error) {
    if (error === stillStopping) return { action: "stopping", status };
    if (!isDstackError(error)) throw error;
    output.line(`CVM ${nameOfCvm(cvm)} was not stopped: ${error.message}`);
    return { action: "failed", status, problem: error.message };
  }
}

const stillStopping = Symbol("still stopping");
