import { formatGwei } from "viem";
import type { BatchPlan } from "../../batch/plan-batch.ts";
import type { BatchEvent } from "../../batch/run.ts";
import type { BatchEntry } from "../../chain/transactions/journal.ts";
import { highestTip } from "../../chain/transactions/prepare.ts";
import { deterministicDeployer } from "../../core/batch-executor.ts";
import { explorerLink, formatFee, formatGas } from "../../report/format.ts";
import type { ConnectedChain } from "../connect/connect-chain.ts";
import type { TaskIo } from "../connect/run-task.ts";

/** Tells a person, before they agree, everything that may be signed beside the calls themselves. */
export function showBatchPlan({ paper }: Pick<TaskIo, "paper">, plan: BatchPlan): void {
  const { account, delegation, calls, nonce, gas } = plan;
  if (calls.length === 0) return;
  const transactions =
    delegation === undefined
      ? `${calls.length === 1 ? "one transaction" : `${calls.length} transactions, one per change`}`
      : "one transaction for all, or as few as fit";
  paper.line(`Sent by ${account} as ${transactions} (batch ${plan.mode}: ${plan.reason}).`);
  paper.line(`  from nonce ${nonce} on, as the endpoint counts; ${formatBounds(gas)}`);
  if (delegation === undefined) return;
  const { executor, authorizes, deploys } = delegation;
  if (deploys) paper.line(`  deploys the batch executor first, at ${executor}, through ${deterministicDeployer}`);
  paper.line(
    authorizes
      ? `  signs a delegation: the code at ${executor}, the batch executor, acts for the account from then on, until dstack batch undo-delegation`
      : `  the account delegates to the batch executor, ${executor}, already: nothing is authorised`,
  );
  if (plan.fallsBack) paper.line("  if the endpoint refuses that: one transaction per change instead");
}

/** What a transaction can cost at most, beside the base fee that the chain itself sets. */
export function formatBounds(gas: bigint): string {
  return `at most ${formatGas(gas)} in all, and a tip of ${formatGwei(highestTip)} gwei per gas`;
}

/** Tells what earlier runs have signed and is sent first. */
export function showRecorded({ paper }: Pick<TaskIo, "paper">, recorded: readonly BatchEntry[]): void {
  for (const { transaction, calls } of recorded) {
    const first = `  first what an earlier run has signed (nonce ${transaction.nonce}), if its end was not seen: `;
    for (const { description, to } of calls) paper.line(`${first}${description}, on ${to}`);
    if (calls.length === 0) paper.line(`${first}${transaction.functionName}, to ${transaction.to}`);
  }
}

/** Tells a person what a batch does, as it happens. Pass the result as `onEvent`. */
export function tellBatch(
  { paper }: Pick<TaskIo, "paper">,
  { client }: Pick<ConnectedChain, "client">,
): (event: BatchEvent) => void {
  let delegates = false;
  return (event) => {
    switch (event.kind) {
      case "chosen":
        paper.detail("batch", `${event.mode}: ${event.reason}`);
        delegates = event.mode === "7702";
        return;
      case "sent":
        paper.detail(event.isFromRecord ? "sent earlier" : "sent", event.transactionHash);
        return;
      case "mined": {
        const { transactionHash, blockNumber, gasUsed, costWei } = event.transaction;
        const what = event.calls.length === 1 ? event.calls[0]?.functionName : `${event.calls.length} changes`;
        paper.step(what ?? "mined", `block ${blockNumber}, ${formatGas(gasUsed)}, ${formatFee(costWei)}`);
        const link = explorerLink(client.chain, "tx", transactionHash);
        if (link !== undefined) paper.line(`    ${link}`);
        // The one thing a batch leaves behind on the account itself; told once, and only of what was mined.
        if (delegates && event.calls.length > 0) {
          delegates = false;
          paper.detail("", "the account stays delegated until: hardhat dstack batch undo-delegation");
        }
      }
    }
  };
}
