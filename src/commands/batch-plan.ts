import { type Account, type Address, formatGwei } from "viem";
import { estimateBatchPrice } from "../batch/estimate-batch-price.ts";
import { type BatchPlan, type PlanBatchParameters, planBatch } from "../batch/plan-batch.ts";
import { simulateCalls } from "../batch/simulate-calls.ts";
import { highestTip, type NamedFees, readFees } from "../chain/transactions/fees.ts";
import type { PriceEstimate } from "../core/price.ts";
import { SignerRequiredError } from "../errors/index.ts";
import { showPrice } from "../output/price.ts";
import type { ConnectedChain } from "./host.ts";
import { describeDelegation, howToDelegate } from "./plan-with-user.ts";
import type { TaskIo } from "./run.ts";
import type { Signing } from "./signing.ts";

/** `--dry-run`, of every task that sends transactions. */
export interface DryRunArguments {
  /** Shows what would be sent and what it would cost, asks nothing, and signs, sends and writes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** A plan, for `--json`. The calls are a field of their own. */
export type PlanDescription = Omit<BatchPlan, "calls" | "delegation" | "offer"> & {
  readonly delegation: BatchPlan["delegation"] | null;
  readonly offer: BatchPlan["offer"] | null;
};

export function describePlan({ calls: _, delegation, offer, ...plan }: BatchPlan): PlanDescription {
  return { ...plan, delegation: delegation ?? null, offer: offer ?? null };
}

/** What a dry run found. Nothing was sent. */
export interface PlannedCalls {
  readonly outcome: "planned";
  readonly mode: BatchPlan["mode"];
  readonly reason: string;
  readonly calls: readonly { readonly description: string; readonly status: "notSent" }[];
  readonly plan: PlanDescription;
  readonly price: PriceEstimate | null;
}

export interface PlanCallsParameters
  extends Pick<PlanBatchParameters, "calls" | "mode" | "allowDelegation" | "allowNoEffect" | "ledger" | "purpose"> {
  /** The account that would pay. */
  readonly payer: Account | Address;
}

/**
 * Plans calls as a dry run: simulates those that nothing must come before, and shows how they would be sent and their
 * price.
 *
 * @throws NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError, and what planBatch throws
 */
export async function planCalls(
  io: Pick<TaskIo, "output">,
  { client, chainId, ...chain }: ConnectedChain & Pick<Signing, "choices">,
  { calls, payer: account, ...wanted }: PlanCallsParameters,
): Promise<PlannedCalls> {
  // Only a key could sign a delegation.
  const mode = typeof account === "string" ? "none" : wanted.mode;
  const allowDelegation = wanted.allowDelegation ?? chain.allowDelegation;
  const plan = await planBatch(client, { ...wanted, calls, account, mode, chainId, allowDelegation });
  await simulateCalls(client, { from: plan.account, calls: plan.calls });
  const price = await showBatchPlan(io, { client, ...chain }, plan);
  showDryRun(io);
  return {
    outcome: "planned",
    mode: plan.mode,
    reason: plan.reason,
    calls: plan.calls.map(({ description }) => ({ description, status: "notSent" })),
    plan: describePlan(plan),
    price,
  };
}

/** The last line of a dry run. */
export function showDryRun({ output }: Pick<TaskIo, "output">): void {
  output.line("\nThis was a dry run: nothing was signed or sent.");
}

export interface ReadPayerParameters {
  /** Reads the account whose key is given. */
  readonly readSigner: () => Promise<Account>;
  /** Who would have to sign, if no key is given. */
  readonly signer: Address;
}

/** The account that would pay. A dry run needs no key: without one, it tells what the transactions cost the signer. */
export async function readPayer(
  { output }: Pick<TaskIo, "output">,
  { readSigner, signer }: ReadPayerParameters,
): Promise<Account | Address> {
  try {
    return await readSigner();
  } catch (error) {
    if (!(error instanceof SignerRequiredError)) throw error;
    output.line(`No key is given. This is the plan for one transaction per change, sent by ${signer}.`);
    return signer;
  }
}

/**
 * Shows, before the user agrees, everything that may be signed besides the calls themselves, and what it will cost.
 * Returns the price; null if nothing is left to send.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function showBatchPlan(
  { output }: Pick<TaskIo, "output">,
  { client, choices }: Pick<ConnectedChain & Signing, "client" | "choices">,
  plan: BatchPlan,
): Promise<PriceEstimate | null> {
  const { account, delegation, offer, calls, nonce } = plan;
  if (calls.length === 0) return null;
  const transactions =
    delegation === undefined
      ? `${calls.length === 1 ? "one transaction" : `${calls.length} transactions, one per change`}`
      : "one transaction for all changes, or as few as possible";
  output.line(`${account} sends ${transactions} (batch ${plan.mode}: ${plan.reason}).`);
  output.line(`  first nonce ${nonce}, according to the endpoint; ${tipLimitOf(choices)}`);
  if (offer !== undefined) output.line(`  ${howToDelegate}`);
  if (delegation !== undefined) for (const line of describeDelegation(delegation)) output.line(line);
  if (plan.fallsBack) output.line("  if the endpoint refuses this, sends one transaction per change instead");
  const fees = await readFees(client, choices);
  const price = await estimateBatchPrice(client, { ...plan, fees });
  showPrice(output, price);
  return price;
}

/** The part of the price that an endpoint could raise. */
export function tipLimitOf({
  maxPriorityFeePerGas = highestTip,
  maxFeePerGas = maxPriorityFeePerGas,
}: NamedFees): string {
  const most = maxPriorityFeePerGas < maxFeePerGas ? maxPriorityFeePerGas : maxFeePerGas;
  return `priority fee at most ${formatGwei(most)} gwei`;
}
