import { readAllowlist } from "../chain/read-app.ts";
import { readOwner } from "../chain/read-owner.ts";
import { nameOfCvm } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { formatTime } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import type { PreparedUpdate, PrepareUpdateResult } from "../update/prepare-update.ts";
import { removePreparedUpdates, savePreparedUpdates } from "../update/prepared-file.ts";
import { parseAccept } from "./arguments.ts";
import { findGivenApp } from "./connect-update.ts";
import { describeUpdated } from "./describe-updated.ts";
import { reportGenerations } from "./generations.ts";
import type { CommandHost } from "./host.ts";
import { commandsAfter, findPlan, requireReplaceable } from "./plan-progress.ts";
import {
  callsOf,
  connectReplicas,
  findNamedCvms,
  fingerprintRequest,
  plannedUpdateOf,
  prepareAll,
  preparedPath,
  reasonOf,
} from "./prepare-updates.ts";
import type { TaskIo, TaskOutcome } from "./run.ts";
import { parseUpdateArguments, type UpdateArguments } from "./update-arguments.ts";
import { writePlan } from "./write-plan.ts";

/**
 * `dstack update --prepare`: lets the cloud keep the update, and writes the plan that the app's owners execute. The token
 * and the encrypted environment stay in the project's `.dstack`.
 */
export async function prepareForOwners(
  io: TaskIo,
  args: UpdateArguments,
  host: CommandHost,
  file: string,
): Promise<TaskOutcome> {
  const given = await findGivenApp(args, host);
  const named = await findNamedCvms(args, host, given);
  const request = await parseUpdateArguments({ ...args, cvm: named?.[0] });
  const cvms = named ?? [request.cvm];
  const connected = await connectReplicas(io, host, { args, app: given, request });
  const { app, contracts } = connected;
  await requireReplaceable(app, { file, isPreparing: true });
  const prepared = await prepareAll(io, host, { args, connected, cvms });
  const updates = prepared.flatMap(({ update }) => update ?? []);
  const cvmResults = prepared.map(describe);
  if (updates.length === 0) return { result: { cvms: cvmResults }, show: (output) => showEnded(output, prepared) };
  const calls = callsOf(prepared);
  if (calls.length === 0 && updates.every(({ token }) => token === undefined)) throw nothingToSign();
  const older = await findPlan(file);
  const { owner, allowAnyDevice, requireTcbUpToDate } = await readAllowlist(app.client, { appId: app.appId });
  const plan = await writePlan(io, app, {
    ...{ file, task: args.task ?? "update", appId: app.appId, accepted: parseAccept("update", args.accept), calls },
    signer: await readOwner(app.client, { address: owner }),
    reasonOf: (call) => reasonOf(call, prepared),
    update: plannedUpdateOf(prepared, { allowAnyDevice, requireTcbUpToDate }),
  });
  const secrets = await preparedPath(host, plan.digest);
  await savePreparedUpdates(secrets, plan.digest, {
    request: fingerprintRequest(connected, cvms),
    updates: updates.map((update) => ({ ...update, isDone: false })),
  });
  // The tokens of the plan that was overwritten are worthless.
  if (older !== undefined && older.digest !== plan.digest)
    await removePreparedUpdates(await preparedPath(host, older.digest));
  return {
    result: { ...plan, cvms: cvmResults, preparedFile: secrets, ...reportGenerations(contracts) },
    show: (output) => {
      showEnded(output, prepared);
      if (prepared.length > updates.length) output.line("The plan is about the other CVMs.");
      if (calls.length === 0) output.line("The app allows everything that the update needs. No owner has to sign.");
      showKept(output, updates, { file, secrets, network: app.network, needsOwners: calls.length > 0 });
    },
  };
}

export function describe({ update, needed, ...result }: PrepareUpdateResult) {
  const { previousComposeHash, expiresAt } = update ?? {};
  return { ...result, previousComposeHash, expiresAt: expiresAt ?? null, needed: needed.map(({ step }) => step) };
}

/** The CVMs for which nothing was prepared, and why. */
export function showEnded(output: Output, prepared: readonly PrepareUpdateResult[]): void {
  for (const { outcome, cvm: id, name, composeHash, status } of prepared) {
    const cvm = nameOfCvm({ id, name });
    if (outcome === "unchanged") output.line(describeUpdated({ outcome, composeHash, status }, cvm));
    if (outcome === "applied")
      output.line(`CAUTION: the cloud saw no hash to allow for ${cvm}, so it applied the change at once.`);
  }
}

interface Kept {
  readonly file: string;
  readonly secrets: string;
  readonly network: string;
  readonly needsOwners: boolean;
}

function showKept(
  output: Output,
  updates: readonly PreparedUpdate[],
  { file, secrets, network, needsOwners }: Kept,
): void {
  output.line("\nThe cloud keeps the prepared update:");
  for (const { cvm: id, name, expiresAt } of updates) {
    const until = expiresAt === undefined ? "usually for 14 days" : `until ${formatTime(expiresAt)} UTC`;
    output.line(`  ${nameOfCvm({ id, name })}, ${until}`);
  }
  output.line("A newer update of the same CVM replaces it. If it is gone, --commit prepares the");
  output.line("same change again, and commits it only if its hash is the approved one.");
  const hasEnvironment = updates.some(({ environment }) => environment !== null);
  const kept = hasEnvironment ? "Its tokens and the encrypted environment" : "Its tokens";
  output.line(`${kept} are in this file. Keep it here:`);
  output.line(`  ${secrets}`);
  output.line(needsOwners ? "\nWhen the owners have executed the plan:" : "\nTo finish the update:");
  for (const line of commandsAfter({ update: { cvms: [] } }, file, network).slice(1)) output.line(line);
}

function nothingToSign(): InvalidArgumentError {
  return new InvalidArgumentError("Only the environment changes, so no owner has to sign anything.", {
    nextStep: "Nothing was changed. Run the same command without --prepare and --plan. It needs no key of an owner.",
  });
}
