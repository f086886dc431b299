import { type Abi, decodeEventLog, parseAbi } from "viem";
import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { type Hex, parseFixedHex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { RangeSize } from "../history/block-ranges.ts";
import { scanLogs } from "../history/scan-logs.ts";

/** How a Safe executed one of its transactions. */
export interface SafeExecution {
  readonly safeTxHash: Hex;
  /** False if the call inside failed: the Safe then has used up the nonce, and nothing else has changed. */
  readonly isSuccessful: boolean;
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
}

export interface ReadSafeExecutionsParameters {
  readonly safe: Hex;
  readonly fromBlock: bigint;
  /** @default the latest block */
  readonly toBlock?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

const events: readonly Abi[] = [
  parseAbi([
    "event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)",
    "event ExecutionFailure(bytes32 indexed txHash, uint256 payment)",
  ]),
  // Before version 1.4.0.
  parseAbi([
    "event ExecutionSuccess(bytes32 txHash, uint256 payment)",
    "event ExecutionFailure(bytes32 txHash, uint256 payment)",
  ]),
];
const requestsAtOnce = 4;
const retryDelayMs = 500;

/**
 * Reads which transactions a Safe has executed in a range of blocks, by its own events. Oldest first.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError
 */
export async function readSafeExecutions(
  client: ChainClient,
  { safe, fromBlock, signal, ...parameters }: ReadSafeExecutionsParameters,
): Promise<readonly SafeExecution[]> {
  const doing = "reading what the Safe has executed";
  const toBlock =
    parameters.toBlock ?? (await withRpcErrors(client, doing, () => getBlockNumber(client, { cacheTime: 0 })));
  const found: (SafeExecution & { readonly logIndex: number })[] = [];
  if (toBlock < fromBlock) return found;
  await scanLogs(client, {
    ...{ address: safe, ranges: [{ fromBlock, toBlock }], concurrency: requestsAtOnce, size: new RangeSize() },
    ...{ retryDelayMs, signal },
    onLogs: (_, logs) => {
      for (const { topics, data, transactionHash, blockNumber, logIndex } of logs) {
        const event = decodeSafeExecution(topics, data);
        if (event === undefined) continue;
        found.push({ ...event, transactionHash: parseTransactionHash(transactionHash), blockNumber, logIndex });
      }
    },
  });
  return found.toSorted((one, other) => Number(one.blockNumber - other.blockNumber) || one.logIndex - other.logIndex);
}

/**
 * The execution that used a nonce, if it is among these. A Safe logs one event for each nonce.
 *
 * @param executions up to now, without gaps
 * @param next the Safe's nonce now
 */
export function executionOfNonce(
  executions: readonly SafeExecution[],
  { nonce, next }: { readonly nonce: bigint; readonly next: bigint },
): SafeExecution | undefined {
  return nonce < next ? executions.at(Number(nonce - next)) : undefined;
}

/** Decodes a log of a Safe. Undefined unless it says how the Safe executed a transaction. */
export function decodeSafeExecution(
  topics: readonly Hex[],
  data: Hex,
): Pick<SafeExecution, "safeTxHash" | "isSuccessful"> | undefined {
  for (const abi of events) {
    try {
      const { eventName, args } = decodeEventLog({ abi, topics: [...topics] as [Hex, ...Hex[]], data });
      const { txHash } = Object(args) as { readonly txHash?: unknown };
      const safeTxHash = parseFixedHex("A Safe transaction hash", `${txHash}`, 32);
      return { safeTxHash, isSuccessful: eventName === "ExecutionSuccess" };
    } catch {} // another event, or the other form
  }
  return undefined;
}
