import { readAllowlist } from "../chain/read-app.ts";
import { systemClock } from "../chain/retry.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { safeStopCvm } from "../cloud/stop-cvm.ts";
import { type ComposeHash, nameOfCvm } from "../core/ids.ts";
import { removeComposeHashCall } from "../core/owner-calls.ts";
import { poll } from "../core/retry.ts";
import { cleanText } from "../core/text.ts";
import { HashNeededError, isDstackError, type RemovalObjection } from "../errors/index.ts";
import { readAllowedKeys } from "../history/compare-with-state.ts";
import type { Output } from "../output/output.ts";
import { showWhatRemovalMeans } from "../output/prune.ts";
import type { CvmReference, HashUse } from "../prune/allowlist-use.ts";
import { type CloudUse, readCloudUse, unknownCloudUse } from "../prune/read-cloud-use.ts";
import { parseAccept } from "./arguments.ts";
import { type AppArguments, type ConnectedApp, connectApp } from "./connect-app.ts";
import type { Command, CommandHost } from "./host.ts";
import { recordRevocation } from "./revocations.ts";
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
  const { allowed, others } = await readAllowed(app, hashes, use);
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
  if (change !== undefined && args.dryRun !== true) {
    using ledger = await app.openLedger();
    const revocation = { at: new Date().toISOString(), note: note ?? null };
    for (const composeHash of allowed) recordRevocation(ledger, { appId, composeHash }, revocation);
  }
  const left: readonly ComposeHash[] = change === undefined ? [] : (await readAllowed(app, hashes, use)).allowed;
  const isRemoved = ({ composeHash }: HashUse) => hashes.includes(composeHash) && !left.includes(composeHash);
  const after = change === undefined || args.dryRun === true ? use : await readUse(app, hashes);
  const cvms = await handleCvms(io, app.cloud, after.running.filter(isRemoved), args);
  const outcomeOf = (composeHash: ComposeHash) => {
    if (left.includes(composeHash)) return "allowed";
    return allowed.includes(composeHash) ? "removed" : "notAllowedBefore";
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
  const isOver = left.length > 0 || cvms.every(({ action }) => action === "stopped");
  return {
    result: { appId, chainId, ...change?.result, ...result },
    show: (output) => showResult(output, result),
    exitCode: isOver && after.unknowns.length === 0 ? 0 : negativeAnswer,
  };
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
  const revisions = use.isAnswered && cloud !== undefined ? await findRevisionHashes(cloud, app) : undefined;
  const keys = [...new Set([...hashes, ...uses, ...pins, ...(revisions ?? [])])];
  const { blockNumber } = await readAllowlist(client, { appId });
  const allowed = await readAllowedKeys(client, {
    ...{ appId, blockNumber, keys, retryDelayMs: 250 },
    view: "allowedComposeHashes",
  });
  const others = [...allowed].filter((composeHash) => !hashes.includes(composeHash));
  return {
    allowed: hashes.filter((composeHash) => allowed.has(composeHash)),
    others: others.length > 0 || revisions !== undefined ? others : undefined,
  };
}

async function findRevisionHashes(cloud: CloudClient, { appId }: ConnectedApp) {
  try {
    return (await getAppRevisions(cloud, { appId })).revisions.map(({ composeHash }) => composeHash);
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

/** A CVM that uses a named hash. */
interface RevokedCvm extends CvmReference {
  readonly composeHash: ComposeHash;
  /**
   * `stopped`: it does not run. `stopping`: the cloud accepted the stop. `left`: it still runs, or may run: see
   * `status`. `failed`: the cloud did not accept the stop. `waits`: its hash is still allowed.
   */
  readonly action: "stopped" | "stopping" | "left" | "failed" | "waits";
  readonly problem?: string | undefined;
}

interface RevokeResult {
  readonly hashes: readonly {
    readonly composeHash: ComposeHash;
    /** `allowed`: somebody else must still execute the removal. */
    readonly outcome: "removed" | "notAllowedBefore" | "allowed";
  }[];
  readonly note: string | null;
  readonly cvms: readonly RevokedCvm[];
  readonly movingTo: CloudUse["movingTo"];
  readonly prepared: CloudUse["prepared"];
  readonly unknowns: CloudUse["unknowns"];
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

const sentences: Readonly<Record<RevokedCvm["action"], string>> = {
  stopped: "is stopped, and cannot boot with this hash.",
  stopping: "is still stopping. Look again with dstack status.",
  left: "STILL RUNS this hash, and keeps its keys until it restarts.",
  failed: "STILL RUNS this hash: the cloud did not stop it.",
  waits: "uses this hash, which is still allowed.",
};

/** Only the cloud says whether a CVM runs, and a CVM that is starting or has failed may do so. */
function describeAction({ action, status }: RevokedCvm): string {
  const mayRun = (action === "left" || action === "failed") && status !== "running";
  return mayRun ? `is ${status}, so it MAY RUN this hash.` : sentences[action];
}

function showResult(output: Output, { hashes, note, cvms, movingTo, prepared, unknowns }: RevokeResult): void {
  output.line("");
  for (const { composeHash, outcome } of hashes) {
    if (outcome === "removed") output.line(`Revoked ${composeHash}.`);
    else if (outcome === "allowed") output.line(`${composeHash} IS STILL ALLOWED.`);
    else output.line(`${composeHash} was not allowed before.`);
    for (const cvm of cvms.filter((one) => one.composeHash === composeHash))
      output.line(`  CVM ${nameOfCvm(cvm)} ${describeAction(cvm)}`);
    for (const { cvm } of movingTo.filter((one) => one.composeHash === composeHash))
      output.line(`  The cloud is updating CVM ${nameOfCvm(cvm)} to it.`);
    for (const { cvm, expiresAt } of prepared.filter((one) => one.composeHash === composeHash))
      output.line(`  A prepared update of CVM ${nameOfCvm(cvm)} needs it until ${expiresAt}.`);
  }
  if (note !== undefined && note !== null) output.line(`Note: ${note}`);
  if (hashes.some(({ outcome }) => outcome === "allowed")) {
    output.line("After the owners have executed the removal, run the same command again.");
    output.line("It then shows the CVMs that still run the hash, and stops them if you want that.");
  }
  const revoked = cvms.filter(({ action }) => action !== "waits");
  if (revoked.length > 0) {
    output.line(`\nTo move ${revoked.length === 1 ? "this CVM" : "these CVMs"} back to an earlier compose file:`);
    for (const { id } of revoked) {
      // The cloud chose the id. A command line must not contain another command.
      const name = /^[\w-]+$/.test(id) ? id : "CVM";
      output.line(`  npx hardhat dstack update --cvm ${name} --revision previous --wait`);
    }
    output.line("To a new one: --compose FILE --accept unproven-document instead of --revision,");
    output.line("because the app no longer allows the document that the update starts from.");
  }
  if (revoked.some(({ action }) => action === "left" || action === "failed"))
    output.line("To stop a CVM that still runs: run the same command again with --stop.");
  if (revoked.some(({ action }) => action === "stopped"))
    output.line("A stopped CVM stays stopped after that. Start it in the cloud.");
  if (unknowns.length > 0) {
    output.line("\nIt is not known which CVMs run a revoked hash:");
    for (const { problem } of unknowns) output.line(`  ${problem}`);
  }
}
