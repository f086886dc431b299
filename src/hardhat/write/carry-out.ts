import type { Account, Address } from "viem";
import { type BatchPlan, planBatch } from "../../batch/plan-batch.ts";
import type { BatchResult } from "../../batch/run.ts";
import { sendBatch } from "../../batch/send-batch.ts";
import { recordedBy } from "../../batch/send-transactions.ts";
import type { ReadOwnerReturnType } from "../../chain/read-owner.ts";
import type { PolicyCall } from "../../core/owner-calls.ts";
import { openTaskJournal } from "../batch/open-task-journal.ts";
import type { ConnectedChain } from "../connect/connect-chain.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { parseBatch } from "./batch-argument.ts";
import { chooseDelivery } from "./choose-delivery.ts";
import { type PreparedForSafe, prepareForSafe } from "./prepare-for-safe.ts";
import { showBatchPlan, showRecorded, tellBatch } from "./tell-batch.ts";

export interface Signing {
  readonly signer: (purpose: string, wanted?: Address) => Promise<Account>;
}

export interface CarryOutParameters {
  readonly calls: readonly PolicyCall[];
  /** Whose signature the calls need: mostly the contract's owner. */
  readonly signatory: ReadOwnerReturnType;
  /** As `--batch` was given. */
  readonly batch: string | undefined;
  /** Sends calls that change nothing too. */
  readonly allowNoEffect?: boolean | undefined;
}

/** What became of the calls, for `--json`. */
export interface CarriedOut extends Omit<BatchResult, "calls"> {
  readonly calls: readonly {
    readonly description: string;
    readonly status: string;
    readonly transactionHash?: string;
  }[];
  /** What was shown before anything was signed. */
  readonly plan: PlanDescription;
}

type PlanDescription = Omit<BatchPlan, "calls" | "delegation"> & {
  readonly delegation: BatchPlan["delegation"] | null;
};

/**
 * The end of every task that changes something: shows the calls, asks, sends them, and tells each transaction with what
 * it cost; or prepares them for the Safe whose signature they need. Lint before.
 *
 * @throws InvalidArgumentError where nobody can be asked, AbortError if they decline, and what sendBatch throws
 */
export async function carryOut(
  io: TaskIo,
  chain: ConnectedChain & Signing,
  { calls, signatory, batch, allowNoEffect }: CarryOutParameters,
): Promise<CarriedOut | PreparedForSafe> {
  const delivery = chooseDelivery(parseBatch(batch), signatory);
  io.paper.line(`On ${chain.network}, chain ${chain.chainId}:`);
  for (const { description, to } of calls) io.paper.line(`  ${description}, on ${to}`);
  if (delivery.kind === "prepare") return prepareForSafe(io, chain, { ...delivery, calls, allowNoEffect });
  const purpose = [...new Set(calls.map(({ functionName }) => functionName))].join(" and ");
  const account = await chain.signer(purpose, signatory.address);
  await using journal = await openTaskJournal(chain);
  const { chainId, client } = chain;
  showRecorded(io, recordedBy({ account, chainId, journal }));
  const plan = await planBatch(client, { calls, account, journal, mode: delivery.mode, chainId });
  showBatchPlan(io, plan);
  await io.confirm(`Send ${calls.length === 1 ? "it" : `these ${calls.length} changes`} as ${account.address}?`);
  const result = await sendBatch(client, {
    calls,
    account,
    journal,
    plan,
    allowNoEffect,
    chainId,
    signal: io.signal,
    onEvent: tellBatch(io, chain),
  });
  return { ...toCarriedOut(result), plan: describePlan(plan) };
}

function describePlan({ calls: _, delegation, ...plan }: BatchPlan): PlanDescription {
  return { ...plan, delegation: delegation ?? null };
}

function toCarriedOut({ calls, ...result }: BatchResult): Omit<CarriedOut, "plan"> {
  return {
    ...result,
    calls: calls.map(({ call, status, transactionHash }) => ({
      description: call.description,
      status,
      ...(transactionHash !== undefined && { transactionHash }),
    })),
  };
}
