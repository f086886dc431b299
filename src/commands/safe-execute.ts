import type { ChainClient } from "../chain/client.ts";
import { readChainIdentity } from "../chain/transactions/chain-identity.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { estimatePrice } from "../chain/transactions/price.ts";
import { parseTransactionHash } from "../core/ids.ts";
import { isSameCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { requireExecution } from "../governance/prove-execution.ts";
import {
  type ExecutedSafeTransaction,
  executeSafeTransaction,
  requireConfirmed,
  resumeSafeExecution,
} from "../governance/safe-execute.ts";
import { findProposed } from "../governance/safe-find.ts";
import { describeCalls, listValues } from "../output/format.ts";
import { describeUndone } from "../output/plan.ts";
import { formatResult, showPrice } from "../output/price.ts";
import { finishPlan } from "./after-execution.ts";
import type { Command, CommandHost } from "./host.ts";
import { commandsAfter, readApplied } from "./plan-progress.ts";
import { runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { alreadyApplied } from "./safe.ts";
import {
  type ConnectedSafe,
  connectSafe,
  describeSafeTransaction,
  requireOpenPlan,
  requireUnused,
  type SafeArguments,
  showQueue,
  showRejected,
  showSafeTransaction,
} from "./safe-context.ts";
import { createSending, showEvents } from "./sending.ts";
import { confirmUnsigned } from "./write.ts";

export interface SafeExecuteArguments extends SafeArguments {
  readonly dryRun?: boolean | undefined;
}

/** Executes the Safe transaction of a plan with the owners' signatures, through the ledger. */
export const safeExecute: Command<SafeExecuteArguments> = (args, host) =>
  runTask(args, (io) => execute(io, args, host));

async function execute(io: TaskIo, args: SafeExecuteArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectSafe(io, args, host);
  const { plan, chain, account: safeAccount, calls, copies, queued, nonce } = connected;
  const { client, chainId } = chain;
  const { output } = io;
  const payer = await chain.signer("the execution of the Safe transaction");
  using ledger = await chain.openLedger({ isKept: args.dryRun !== true });
  const sending = {
    ...{ account: payer, ledger, chainId, safeAccount, calls },
    ...createSending(io, chain, { choices: chain.choices, ledger, account: payer }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: showEvents(io),
  };
  const finish = (outcome: TaskOutcome, { receipt }: ExecutedSafeTransaction) => {
    const transactionHashes = [parseTransactionHash(receipt.transactionHash)];
    return finishPlan(io, host, { ...connected, args, transactionHashes }, outcome);
  };
  const recorded = args.dryRun ? [] : await findRecordedExecutions(client, ledger, connected);
  for (const safeTxHash of recorded) {
    output.line(`An earlier run recorded the execution of ${safeTxHash}. It is completed first.`);
    const resumed = await resumeSafeExecution(client, { ...sending, safeTxHash });
    if (resumed !== undefined)
      return finish(await describeExecuted(io, connected, resumed, { price: null, file: args.file }), resumed);
  }
  const applied = await requireOpenPlan(connected, args.file);
  if (applied !== undefined) {
    const transactionHashes = applied.appliedBy.map(parseTransactionHash);
    const outcome = alreadyApplied(connected, args.file, applied);
    return args.dryRun ? outcome : finishPlan(io, host, { ...connected, args, transactionHashes }, outcome);
  }
  const found = await findProposed(client, { plan, account: safeAccount, copies, queued, nonce });
  await requireUnused(connected, found);
  const { safeTx, safeTxHash, confirmations, rejected } = found;
  requireConfirmed(safeAccount, { safeTxHash, confirmations, rejected });
  showSafeTransaction(output, connected, safeTx);
  showQueue(output, connected, found);
  showRejected(output, rejected);
  output.line(`  signed by ${confirmations.map(({ signer }) => signer).join(", ")}\n`);
  let price: PriceEstimate | null = null;
  const dryRun = new DryRun();
  const onReady = async (transaction: Parameters<typeof estimatePrice>[1]["transactions"][number]) => {
    price = await estimatePrice(client, { ...chain.choices, transactions: [transaction] });
    showPrice(output, price);
    if (args.dryRun) throw dryRun;
    await io.confirm(`Execute it, and pay for it as ${payer.address}?`);
  };
  try {
    const executed = await executeSafeTransaction(client, { ...sending, safeTx, confirmations, rejected, onReady });
    return await finish(await describeExecuted(io, connected, executed, { price, file: args.file }), executed);
  } catch (error) {
    if (error !== dryRun) throw error;
    const result = { ...describeSafeTransaction(connected, safeTx), outcome: "planned", price };
    return { result, show: () => output.line("\nNothing was sent: this is a dry run.") };
  }
}

/** Thrown where a dry run ends. */
class DryRun extends Error {}

/** Hashes of Safe transactions with the plan's calls whose execution was recorded and not seen to its end. */
async function findRecordedExecutions(
  client: ChainClient,
  ledger: Ledger,
  { calls, account, chain: { chainId } }: ConnectedSafe,
) {
  const { chain } = await readChainIdentity(client, chainId);
  const states = ["open", "mined"] as const;
  const hashes = ledger
    .transactions({ chain, calls, states, isUnfinished: true })
    .filter(({ to, ...transaction }) => {
      const isSame = transaction.calls.length === calls.length;
      const isPlanned = transaction.calls.every((call, index) => {
        const planned = calls[index];
        return planned !== undefined && isSameCall(call, planned);
      });
      return isSame && isPlanned && to === account.safe.toLowerCase();
    })
    .flatMap(({ purpose }) => purpose.safeTxHash ?? []);
  return [...new Set(hashes)];
}

/** @throws ExecutionNotProvenError if the transaction did more than the plan says */
async function describeExecuted(
  io: TaskIo,
  connected: ConnectedSafe,
  { safeTxHash, transaction, receipt, isFromRecord }: ExecutedSafeTransaction,
  { price, file }: { readonly price: PriceEstimate | null; readonly file: string },
): Promise<TaskOutcome> {
  const { plan, account, calls, chain } = connected;
  const { gasUsed, blockNumber } = receipt;
  const costWei = transaction.proof?.costWei ?? 0n;
  const transactionHash = parseTransactionHash(receipt.transactionHash);
  await requireExecution(chain.client, plan, { transactionHash, safeTxHash });
  const { undone } = await readApplied(chain.client, { plan, signal: io.signal });
  return {
    result: {
      ...{ planDigest: plan.digest, outcome: "executed", safe: account.safe, chainId: account.chainId, safeTxHash },
      ...{ transactionHash, blockNumber, gasUsed, costWei, finality: transaction.finality ?? null },
      ...{ isFromRecord, price, undone, calls: calls.map(({ to, description }) => ({ to, description })) },
    },
    show: (output) => {
      output.step("executed", `block ${blockNumber}, ${transactionHash}`);
      output.line(`\n${formatResult(describeCalls(calls), [{ gasUsed, costWei }], listValues(calls))}`);
      for (const line of describeUndone(undone)) output.line(line);
      for (const line of commandsAfter(plan, file, chain.network)) output.line(line);
    },
  };
}
