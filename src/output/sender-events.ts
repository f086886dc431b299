import { formatGwei } from "viem";
import type { SenderEvent } from "../chain/transactions/follow-context.ts";
import { lastAttempt } from "../chain/transactions/ledger-records.ts";
import { formatDuration } from "./format.ts";
import type { Output } from "./output.ts";

/** Prints what happens to a transaction while it is sent and waited for. Its receipt is printed elsewhere. */
export function showSenderEvent(output: Output, event: SenderEvent): void {
  if (event.kind === "mined") return;
  if (event.kind === "sent") {
    const { transactionHash = "hash not known" } = lastAttempt(event.transaction);
    output.detail(event.isFromRecord ? "sent earlier" : "sent", transactionHash);
  } else {
    output.detail("", describeSenderEvent(event));
  }
}

/** Says what happens to a transaction while it is waited for, in one line. */
export function describeSenderEvent(event: Exclude<SenderEvent, { kind: "sent" | "mined" }>): string {
  switch (event.kind) {
    case "taken":
      return `another transaction, ${event.by}, used nonce ${event.transaction.nonce}: the recorded one is given up`;
    case "dropped":
      return `a reorganisation removed nonce ${event.transaction.nonce} from the chain: this run sends it again`;
    case "underpriced": {
      const { maxFeePerGas } = lastAttempt(event.transaction);
      return `nonce ${event.transaction.nonce} pays at most ${formatGwei(maxFeePerGas)} gwei per gas, and the base fee is ${formatGwei(event.baseFeePerGas)} gwei`;
    }
    case "waitingForOwner": {
      const { pid, host } = event.transaction.owner;
      return `waiting for process ${pid} on ${host}, which asked for nonce ${event.transaction.nonce}`;
    }
    case "waitingForFinality":
      return `mined; waiting until block ${event.blockNumber} is ${event.tag}, usually ${formatDuration(event.typicalMs)}`;
    case "tagStalled":
      return `the endpoint's ${event.tag} block has been ${event.taggedBlock} for ${formatDuration(event.stalledMs)}`;
    case "tagUnknown":
      return `the endpoint has no ${event.tag} block; waiting for ${formatDuration(event.waitMs)} instead`;
    case "final":
      return `block ${event.blockNumber} is ${event.tag}`;
  }
}
