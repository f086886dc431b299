import type { Address } from "viem";
import type { BatchPlan } from "../batch/plan-batch.ts";
import type { BatchEvent, BatchResult } from "../batch/run.ts";
import { sendBatch } from "../batch/send-batch.ts";
import type { ChainClient } from "../chain/client.ts";
import { readAppStatus } from "../chain/read-app.ts";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { type LedgerTransaction, lastAttempt } from "../chain/transactions/ledger-records.ts";
import { type ReadRecordedParameters, readRecorded } from "../chain/transactions/recorded.ts";
import { orderCalls } from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, UnsignedRecordError } from "../errors/index.ts";
import { describeCalls, explorerLink, listValues } from "../output/format.ts";
import { formatFee, formatGas, formatResult } from "../output/price.ts";
import { showSenderEvent } from "../output/transactions.ts";
import { type BatchArgument, parseBatch } from "./arguments.ts";
import {
  type DryRunArguments,
  describePlan,
  type PlanDescription,
  type PlannedCalls,
  planCalls,
  readPayer,
  showBatchPlan,
} from "./batch-plan.ts";
import { type ConnectedApp, requireApp } from "./connect-app.ts";
import { reportGenerations } from "./generations.ts";
import type { ConnectedChain } from "./host.ts";
import { lintBeforeWrite } from "./lint.ts";
import { planWithUser } from "./plan-with-user.ts";
import type { PreparedForSafe } from "./prepare-for-safe.ts";
import type { OutputArguments, TaskIo, TaskOutcome } from "./run.ts";
import { createSending } from "./sending.ts";
import type { Signing } from "./signing.ts";
import type { PlanRequest, WrittenPlan } from "./write-plan.ts";

export interface ExecuteCallsParameters {
  readonly calls: readonly OwnerCall[];
  /** The account whose signature the calls need: mostly the contract's owner. */
  readonly signer: ReadOwnerReturnType;
  /** The value of `--batch`. */
  readonly batch: string | undefined;
  /** Also sends calls that change nothing. */
  readonly allowNoEffect?: boolean | undefined;
  /** The value of `--dry-run`. */
  readonly dryRun?: boolean | undefined;
  /** With `--plan`: the calls become a plan, and nothing is sent. */
  readonly plan?: PlanRequest | undefined;
  /** What the ledger records. @default a change that an owner makes */
  readonly purpose?: "batch" | "timelock" | undefined;
  /** Whether the task has sent a transaction before. The output then does not say that nothing was sent. */
  readonly hasPaid?: boolean | undefined;
}

/** The results of the calls, for `--json`. */
export interface CarriedOut extends Omit<BatchResult, "calls"> {
  readonly calls: readonly {
    readonly description: string;
    readonly status: string;
    readonly transactionHash?: string;
  }[];
  /** The plan that was shown before anything was signed. */
  readonly plan: PlanDescription;
  /** Its price; null if nothing was left to send. */
  readonly price: PriceEstimate | null;
}

/**
 * The last part of every task that changes something: shows the calls, asks, sends them, and prints each transaction
 * with its cost. If a Safe must sign, prepares the calls for that Safe. Lint before calling this.
 *
 * @throws InvalidArgumentError if the user cannot be asked, AbortError if they decline, and what sendBatch throws
 */
export async function executeCalls(
  io: TaskIo,
  chain: ConnectedChain & Signing,
  { calls, signer, batch, allowNoEffect, dryRun = false, plan: request, hasPaid, ...other }: ExecuteCallsParameters,
): Promise<CarriedOut | PreparedForSafe | PlannedCalls | WrittenPlan> {
  const delivery = chooseSendMode(parseBatch(batch), signer);
  io.output.line(`On ${chain.network}, chain ${chain.chainId}:`);
  for (const { description, to } of calls) io.output.line(`  ${description}, on ${to}`);
  if (request !== undefined)
    return (await import("./write-plan.ts")).writePlan(io, chain, {
      ...request,
      calls,
      signer,
      allowNoEffect,
      dryRun,
      hasPaid,
    });
  if (delivery.kind === "prepare")
    return (await import("./prepare-for-safe.ts")).prepareForSafe(io, chain, {
      ...delivery,
      calls,
      allowNoEffect,
      dryRun,
      hasPaid,
    });
  const purpose = { kind: other.purpose ?? "batch" };
  const names = [...new Set(calls.map(({ functionName }) => functionName))].join(" and ");
  const readSigner = () => chain.signer(names, signer.address);
  if (dryRun) {
    const payer = await readPayer(io, { readSigner, signer: signer.address });
    using ledger = await chain.openLedger({ isKept: false });
    return await planCalls(io, chain, { ...delivery, calls, payer, ledger, allowNoEffect, purpose });
  }
  const account = await readSigner();
  using ledger = await chain.openLedger();
  const { chainId, client } = chain;
  const sending = { calls: orderCalls(calls), account, ledger, chainId, allowNoEffect, purpose };
  await showRecorded(io, client, sending);
  const { mode, allowDelegation } = delivery;
  const plan = await planWithUser(io, chain, { ...sending, mode, allowDelegation });
  const price = await showBatchPlan(io, chain, plan);
  const count = plan.calls.length;
  if (count > 0) await io.confirm(`Send ${count === 1 ? "it" : `these ${count} changes`} as ${account.address}?`);
  const result = await sendBatch(client, {
    ...{ ...sending, plan, ...createSending(io, chain, { choices: chain.choices, ledger, account }) },
    confirmUnsigned: confirmUnsigned(io),
    onEvent: createBatchOutput(io, chain, plan),
  });
  io.output.line(`\n${formatResult(describeCalls(calls), result.transactions, listValues(calls))}`);
  return { ...toCarriedOut(result), plan: describePlan(plan), price };
}

/** False if the calls were only planned, or prepared for a Safe. */
export function isSent(result: Awaited<ReturnType<typeof executeCalls>>): result is CarriedOut {
  return !("outcome" in result) && result.mode !== "safe";
}

/**
 * What `--plan` asks for; undefined if it was not given.
 *
 * @throws InvalidArgumentError if other options say how to send, because a plan sends nothing
 */
export function planRequestOf(
  { plan: file, batch, task = "" }: Pick<ChangeAppArguments, "plan" | "batch"> & OutputArguments,
  facts: Omit<PlanRequest, "file" | "task">,
): PlanRequest | undefined {
  if (file === undefined) return undefined;
  if (batch === undefined) return { file, task, ...facts };
  throw new InvalidArgumentError("--plan writes a plan and sends nothing, but --batch says how to send.", {
    nextStep: "Nothing was sent. Omit --batch here, and give it to dstack plan apply.",
    context: { plan: file, batch },
  });
}

function toCarriedOut({ calls, ...result }: BatchResult): Omit<CarriedOut, "plan" | "price"> {
  return {
    ...result,
    calls: calls.map(({ call, status, transactionHash }) => ({
      description: call.description,
      status,
      ...(transactionHash !== undefined && { transactionHash }),
    })),
  };
}

export interface ChangeAppArguments extends DryRunArguments {
  readonly accept?: string | undefined;
  /** File for the plan. Nothing is then sent. */
  readonly plan?: string | undefined;
  readonly batch?: string | undefined;
}

export interface ChangeAppParameters {
  readonly app: ConnectedApp;
  readonly calls: readonly OwnerCall[];
  /** The names given to `--accept`. With `no-effect`, calls that change nothing are sent too. */
  readonly accepted: ReadonlySet<string>;
  /** A further check of the calls. It runs after the check for key epochs. */
  readonly guard?: (() => Promise<void>) | undefined;
  /** Why each change is made, for a plan. @default the operator requested it */
  readonly reasonOf?: PlanRequest["reasonOf"];
  /** For the plan of an upgrade: the code that was examined. */
  readonly upgrade?: PlanRequest["upgrade"];
  /** As in executeCalls. */
  readonly hasPaid?: boolean | undefined;
}

/**
 * Changes an app's lists and flags: lints, refuses what the guard or the app's generation forbids and what changes
 * nothing, and sends the calls as the owner.
 *
 * @throws InvalidArgumentError if calls contradict each other
 * @throws LintRefusedError, KeyEpochsError, NoEffectError, and what the guard and executeCalls throw
 */
export async function changeApp(
  io: TaskIo,
  args: Omit<ChangeAppArguments, "accept"> & OutputArguments,
  { app, calls: unordered, accepted, guard, reasonOf, upgrade, hasPaid }: ChangeAppParameters,
): Promise<TaskOutcome> {
  const { batch, dryRun } = args;
  const plan = planRequestOf(args, { appId: app.appId, accepted, reasonOf, upgrade });
  const allowNoEffect = accepted.has("no-effect");
  const calls = orderCalls(unordered);
  const { client, appId, chainId } = app;
  const status = await readAppStatus(client, { appId });
  const { owner } = requireApp(status, appId);
  const { findings, contracts } = await lintBeforeWrite(io, app, { accepted, status, calls });
  await guard?.();
  const sending = { batch, allowNoEffect, dryRun, plan, hasPaid };
  const carriedOut = await executeCalls(io, app, { calls, signer: owner, ...sending });
  return { result: { appId, chainId, ...reportGenerations(contracts), ...carriedOut, findings } };
}

/** How calls reach the chain: an account sends them, or a Safe's owners import them as a file. */
export type SendMode =
  | ({ readonly kind: "send" } & Exclude<BatchArgument, { readonly mode: "safe" }>)
  | {
      readonly kind: "prepare";
      readonly safe: Address;
      /** The path that the operator named, if any. */
      readonly file: string | undefined;
      /** Why, for the user. */
      readonly reason: string;
    };

/**
 * With `auto`, calls that only a Safe can make are prepared for that Safe, because no local key could send them.
 *
 * @param signer the account whose signature the calls need
 */
export function chooseSendMode(argument: BatchArgument, signer: ReadOwnerReturnType): SendMode {
  const { address: safe, kind } = signer;
  if (argument.mode === "safe")
    return { kind: "prepare", safe, file: argument.file, reason: "a file for a Safe was requested" };
  if (argument.mode === "auto" && kind === "safe")
    return { kind: "prepare", safe, file: undefined, reason: "only a Safe can make these calls" };
  return { kind: "send", ...argument };
}

/**
 * Prints what the ledger holds of earlier runs, which is completed first.
 *
 * @throws UnsignedRecordError, LedgerError, RpcUnavailableError
 */
export async function showRecorded(
  { output }: Pick<TaskIo, "output">,
  client: ChainClient,
  command: ReadRecordedParameters,
): Promise<void> {
  const { own, others } = await readRecorded(client, command);
  const wordsFor = (transaction: LedgerTransaction) => {
    if (transaction.state === "mined") return "an earlier run has done";
    const isSigned = lastAttempt(transaction).rawTransaction !== undefined;
    return `first completes what ${isSigned ? "an earlier run signed" : "the ledger holds without a signature"}`;
  };
  for (const transaction of [...others, ...own]) {
    const { calls, functionName, nonce, to } = transaction;
    const words = `  ${wordsFor(transaction)} (nonce ${nonce}): `;
    for (const call of calls) output.line(`${words}${call.description}, on ${call.to}`);
    if (calls.length === 0) output.line(`${words}${functionName}, to ${to}`);
  }
}

type UnsignedRecord = Pick<LedgerTransaction, "functionName" | "from" | "nonce" | "to"> &
  Partial<Pick<LedgerTransaction, "calls">>;

/**
 * Asks about one record without signed bytes, before a node signs it. `--yes` does not answer this question, because
 * the command line does not name the record. Pass the result as `confirmUnsigned`.
 */
export function confirmUnsigned({ confirmInPerson }: Pick<TaskIo, "confirmInPerson">) {
  return async (transaction: UnsignedRecord): Promise<void> => {
    if (confirmInPerson === undefined) throw new UnsignedRecordError({ ...transaction, isKeyHere: false });
    const { functionName, from, nonce, to, calls = [] } = transaction;
    const what = calls.map((call) => `${call.description}, on ${call.to}`).join("; ") || `${functionName}, to ${to}`;
    await confirmInPerson(
      `The ledger holds a transaction without a signature, so its origin is not proven: ${what}. Let ${from} sign it at nonce ${nonce}?`,
    );
  };
}

/**
 * Prints the events of a batch as they happen. Pass the result as `onEvent`.
 *
 * @param shown the plan that the user has seen. Its mode and reason are not printed again.
 */
export function createBatchOutput(
  { output }: Pick<TaskIo, "output">,
  { client }: Pick<ConnectedChain, "client">,
  shown?: Pick<BatchPlan, "mode" | "reason" | "calls">,
): (event: BatchEvent) => void {
  let delegates = false;
  return (event) => {
    switch (event.kind) {
      case "chosen":
        if (!shown?.calls.length || event.mode !== shown.mode || event.reason !== shown.reason)
          output.detail("batch", `${event.mode}: ${event.reason}`);
        delegates = event.mode === "7702";
        return;
      case "mined": {
        const { transactionHash, blockNumber, gasUsed, costWei } = event.transaction;
        const [first, ...more] = event.calls;
        const what = more.length === 0 ? (first?.functionName ?? "mined") : `${event.calls.length} changes`;
        output.step(what, `block ${blockNumber}, ${formatGas(gasUsed)}, ${formatFee(costWei)}`);
        const link = explorerLink(client.chain, "tx", transactionHash);
        if (link !== undefined) output.line(`    ${link}`);
        // The delegation stays on the account after the batch. Print this once, and only after a transaction was mined.
        if (delegates && event.calls.length > 0) {
          delegates = false;
          output.detail("", "the account stays delegated until you run hardhat dstack batch undo-delegation");
        }
        return;
      }
      case "underpriced":
        return; // the offer to replace it says so
      default:
        showSenderEvent(output, event);
    }
  };
}
