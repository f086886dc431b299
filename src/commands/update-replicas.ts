import { readEffects } from "../batch/require-effect.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import type { ComposeHash } from "../core/ids.ts";
import { addComposeHashCall, type OwnerCall } from "../core/owner-calls.ts";
import { ContractOwnerError, isDstackError, SignerRequiredError, UpdateOvertakenError } from "../errors/index.ts";
import { createUpdateOutput } from "../output/update.ts";
import { planUpdate, type UpdatePlan } from "../update/plan-update.ts";
import type { PrepareUpdateResult } from "../update/prepare-update.ts";
import {
  loadPreparedUpdates,
  type PreparedUpdates,
  removePreparedUpdates,
  savePreparedUpdates,
} from "../update/prepared-file.ts";
import type { UpdateRequest } from "../update/run.ts";
import { showDryRun } from "./batch-plan.ts";
import type { AppTarget, ConnectedApp } from "./connect-app.ts";
import { readAppOwner, throughOwners } from "./connect-update.ts";
import { describeUpdated } from "./describe-updated.ts";
import { reportGenerations } from "./generations.ts";
import type { CommandHost } from "./host.ts";
import {
  type ConnectedReplicas,
  callsOfUpdate,
  connectReplicas,
  eachOnce,
  fingerprintRequest,
  prepareAll,
  preparedPath,
} from "./prepare-updates.ts";
import type { TaskIo, TaskOutcome } from "./run.ts";
import { parseSending } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";
import type { UpdateArguments } from "./update-arguments.ts";
import { commitAll, showUpdated } from "./update-commit.ts";
import { describe, showEnded } from "./update-prepare.ts";
import { executeCalls } from "./write.ts";

export interface UpdateReplicasParameters {
  readonly app: AppTarget;
  readonly cvms: readonly string[];
  readonly request: UpdateRequest;
}

/**
 * Updates every CVM of an app that a key owns: prepares all, allows every hash and device in one batch, and then commits
 * CVM by CVM. If it is interrupted, the same command continues.
 */
export async function updateReplicas(
  io: TaskIo,
  args: UpdateArguments,
  host: CommandHost,
  { app: given, cvms, request }: UpdateReplicasParameters,
): Promise<TaskOutcome> {
  const connected = await connectReplicas(io, host, { args, app: given, request });
  const { app, contracts } = connected;
  const { appId, chainId } = app;
  if (args.dryRun) return dryRun(io, args, host, { connected, cvms });
  const owner = await readAppOwner(app);
  const isContract = owner.kind !== "eoa" && owner.kind !== "renounced";
  const digest = `0x${fingerprintRequest(connected, cvms)}` as const;
  const path = await preparedPath(host, digest);
  const earlier = await loadPreparedUpdates(path, digest);
  if (earlier === undefined && isContract) await requireNothingToSign();
  const all = earlier === undefined ? await prepareAll(io, host, { args, connected, cvms }) : [];
  const prepared = earlier ?? { request: digest.slice(2), updates: toUpdates(all) };
  const shared = { appId, chainId, ...reportGenerations(contracts) };
  const ended = all.filter(({ update }) => update === undefined);
  if (prepared.updates.length === 0) {
    return {
      result: { ...shared, outcome: "unchanged", cvms: ended.map(describe) },
      show: (output) => showEnded(output, ended),
    };
  }
  if (earlier === undefined) await savePreparedUpdates(path, digest, prepared);
  const lacking = await readLacking(app, prepared);
  if (lacking.length > 0 && isContract) {
    await removePreparedUpdates(path);
    throw await throughOwners(ownerRefusal(), app, { isKept: true });
  }
  // As an update of one CVM, it does not ask before it sends.
  const agreed: TaskIo = { ...io, confirm: async () => {} };
  if (lacking.length > 0) await executeCalls(agreed, app, { calls: lacking, signer: owner, batch: undefined });
  using ledger = await openTaskLedger(args, host);
  const findTransaction = async (composeHash: ComposeHash) => findRecorded(ledger, app, composeHash);
  const port = { args, app, ledger, findTransaction };
  const results = await commitAll(io, port, { path, plan: { digest }, prepared }).catch(async (error: unknown) => {
    const cause = isDstackError(error) ? (error.cause ?? error) : error;
    // What was prepared is worthless. The next run prepares anew.
    if (cause instanceof UpdateOvertakenError) await removePreparedUpdates(path);
    throw error;
  });
  return {
    result: { ...shared, outcome: "updated", cvms: results },
    show: (output) => {
      showEnded(output, ended);
      showUpdated(output, results, prepared);
    },
  };

  /** Before the cloud is asked to keep anything. */
  async function requireNothingToSign(): Promise<void> {
    const { cloud, chain, request } = connected;
    for (const cvm of cvms) {
      const { planned } = await planUpdate({ ...request, cvm, cloud, chain, signal: io.signal });
      if (planned.length > 0) throw await throughOwners(ownerRefusal(), app, { isKept: false });
    }
  }

  function ownerRefusal() {
    const signer = connected.account?.address;
    const ownerKind = owner.kind === "eoa" || owner.kind === "renounced" ? undefined : owner.kind;
    return signer === undefined
      ? new SignerRequiredError(["addComposeHash"], { ownerKind })
      : new ContractOwnerError({ contract: appId, signer, owner: owner.address, ownerKind });
  }
}

function toUpdates(prepared: readonly PrepareUpdateResult[]): PreparedUpdates["updates"] {
  return prepared.flatMap(({ update }) => (update === undefined ? [] : [{ ...update, isDone: false }]));
}

/** What the app does not allow yet of what the updates need. */
async function readLacking({ client }: ConnectedApp, { updates }: PreparedUpdates): Promise<readonly OwnerCall[]> {
  const calls = eachOnce(updates.filter(({ isDone }) => !isDone).flatMap(callsOfUpdate));
  const effects = await readEffects(client, calls);
  return effects.flatMap(({ call, isDone }) => (isDone === true ? [] : [call]));
}

function findRecorded(ledger: Ledger, { appId }: ConnectedApp, composeHash: ComposeHash) {
  const calls = [addComposeHashCall({ appId, composeHash })];
  return ledger.transactions({ calls, states: ["mined"] }).at(-1)?.proof?.transactionHash;
}

async function dryRun(
  io: TaskIo,
  args: UpdateArguments,
  host: CommandHost,
  { connected, cvms }: { readonly connected: ConnectedReplicas; readonly cvms: readonly string[] },
): Promise<TaskOutcome> {
  const { cloud, chain, account, request, contracts, app } = connected;
  const { maxFeePerGas, maxPriorityFeePerGas } = parseSending(args, host.settings);
  const told = new Set<string>();
  const plans: UpdatePlan[] = [];
  for (const cvm of cvms) {
    io.output.line(`\n${cvm}:`);
    const shared = { ...request, cloud, chain, account, maxFeePerGas, maxPriorityFeePerGas };
    const planned = planUpdate({ ...shared, cvm, signal: io.signal, onStep: createUpdateOutput(io.output, told) });
    const plan = await planned.catch(async (error: unknown) => {
      throw await throughOwners(error, app, { isKept: false });
    });
    plans.push(plan);
  }
  return {
    result: { appId: app.appId, chainId: app.chainId, ...reportGenerations(contracts), cvms: plans },
    show: (output) => {
      for (const plan of plans) output.line(describeUpdated(plan, plan.cvm));
      showDryRun({ output });
    },
  };
}
