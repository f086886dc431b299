import { formatGwei } from "viem";
import type { SenderEvent } from "../chain/transactions/follow-context.ts";
import { type LedgerTransaction, lastAttempt } from "../chain/transactions/ledger-records.ts";
import { formatDuration } from "./format.ts";
import type { Output } from "./output.ts";

/** A transaction of a ledger, for `--json`. Signed bytes are left out: a reader of the output could send them. */
export function describeTransaction(transaction: LedgerTransaction) {
  const { id, purpose, chainId, from, nonce, to, functionName, calls, authorizes, state, attempts } = transaction;
  const { proof, finality, owner, createdAt } = transaction;
  return {
    ...{ id, purpose, chainId, from, nonce, to, functionName, authorizes, state },
    calls: calls.map(({ description, to }) => ({ description, to })),
    attempts: attempts.map(({ rawTransaction, transactionHash = null, ...attempt }) => ({
      ...attempt,
      transactionHash,
      isSigned: rawTransaction !== undefined,
    })),
    ...{ proof: proof ?? null, finality: finality ?? null, owner, createdAt },
  };
}

export interface SeenState {
  /** Whether the nonce of an open transaction is used, by a transaction that the endpoint does not show. */
  readonly isNonceUsed: boolean;
  /** Of the transaction's chain, in wei per gas. Undefined if another chain is connected. */
  readonly baseFeePerGas: bigint | undefined;
}

/** In what state a transaction is, in a few words. */
export function formatState(transaction: LedgerTransaction, { isNonceUsed, baseFeePerGas }: SeenState): string {
  const { state, finality } = transaction;
  if (state !== "open") return finality === undefined ? state : `${state}, ${finality}`;
  const { kind, maxFeePerGas } = lastAttempt(transaction);
  const doubts = [
    kind === "cancel" && "being cancelled",
    isNonceUsed && "its nonce is used",
    !isNonceUsed && baseFeePerGas !== undefined && baseFeePerGas > maxFeePerGas && "below the base fee",
  ];
  return [state, ...doubts.filter((doubt) => doubt !== false)].join(", ");
}

/** The hash by which a block explorer finds it: of the mined attempt, else of the last one. */
export function hashOf({ proof, attempts }: LedgerTransaction): string | undefined {
  return proof?.transactionHash ?? attempts.at(-1)?.transactionHash;
}

/** `40 s`, `12 min`, `5 h` or `3 d`. */
export function formatAge(since: Date, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - since.getTime()) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

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
