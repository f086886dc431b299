import type { BatchEvent } from "../../batch/batch-event.ts";
import { explorerLink } from "../../report/explorer-link.ts";
import { formatFee, formatGas } from "../../report/format.ts";
import type { ConnectedChain } from "../connect/connect-chain.ts";
import type { TaskIo } from "../connect/run-task.ts";

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
