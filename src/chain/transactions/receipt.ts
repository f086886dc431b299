import {
  type Address,
  formatTransactionReceipt,
  getAddress,
  isHex,
  numberToHex,
  type RpcTransactionReceipt,
  type TransactionReceipt,
} from "viem";
import { parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import { mapLimited } from "../../core/map-limited.ts";
import { poll } from "../../core/retry.ts";
import {
  type EndpointFailure,
  ReceiptTimeoutError,
  RpcUnavailableError,
  TransactionRevertedError,
} from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { systemClock } from "../retry.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { costOf } from "./price.ts";

export interface WaitForReceiptParameters {
  readonly transactionHash: TransactionHash;
  /** Default 120,000 ms. */
  readonly timeoutMs?: number | undefined;
  /** The longest pause between two looks, in ms; the first are shorter. Default: the client's polling interval. */
  readonly pollIntervalMs?: number | undefined;
  /** Name of the called function, for the error message of a revert. */
  readonly functionName: string;
}

export type WaitForReceiptReturnType = TransactionReceipt;

/**
 * Waits until a block holds the transaction. If the endpoint fails, asks again until the time is up. For a later stage,
 * `safe` or `finalized`, give the action a ledger and use `waitForTransactions`.
 *
 * @throws TransactionRevertedError, ReceiptTimeoutError
 *
 * @example
 * import { waitForReceipt } from "dstack-toolkit/chain";
 * import { client, transactionHash } from "./app.js";
 * const receipt = await waitForReceipt(client, { transactionHash, functionName: "addComposeHash" });
 */
export async function waitForReceipt(
  client: ChainClient,
  parameters: WaitForReceiptParameters,
): Promise<WaitForReceiptReturnType> {
  const { transactionHash, functionName } = parameters;
  const { timeoutMs = 120_000, pollIntervalMs = client.pollingInterval } = parameters;
  const start = systemClock.now();
  const look = async () => {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs - (systemClock.now() - start))));
    const receipt = await readReceipt(client, transactionHash, { signal, retryCount: 0 }); // this wait retries
    if (receipt?.status === "reverted") throw new TransactionRevertedError(transactionHash, functionName);
    return receipt;
  };
  let failure: EndpointFailure = {};
  const mayPass = (error: unknown) => {
    // The last try is cut short, which says less than the answers before it.
    const isCut = error instanceof RpcUnavailableError && error.failure.failure === "TIMEOUT";
    if (error instanceof RpcUnavailableError && !(isCut && failure.said !== undefined)) failure = error.failure;
    return !(error instanceof TransactionRevertedError);
  };
  const onTimeout = (waitedMs: number, fault: unknown) => {
    if (fault === undefined) return new ReceiptTimeoutError(transactionHash, waitedMs);
    const { said, reason } = failure;
    return new ReceiptTimeoutError(transactionHash, waitedMs, { cause: fault, said: said ?? reason });
  };
  return poll({ clock: systemClock }, { everyMs: pollIntervalMs, timeoutMs, mayPass, onTimeout }, look);
}

/**
 * Reads the receipt of a mined transaction. Undefined if the endpoint has none.
 *
 * @throws RpcUnavailableError, also for an answer that is no receipt: it says nothing about the transaction
 */
export async function readReceipt(
  client: ChainClient,
  transactionHash: TransactionHash,
  options: { readonly signal?: AbortSignal; readonly retryCount?: number } = {},
): Promise<TransactionReceipt | undefined> {
  return withRpcErrors(client, readingReceipt, async () =>
    parseReceipt(
      transactionHash,
      await client.request({ method: "eth_getTransactionReceipt", params: [transactionHash] }, options),
    ),
  );
}

const readingReceipt = "reading the receipt";

/** A pending block has receipts too, but no block number. Some proxies answer with neither result nor error. */
function parseReceipt(hash: TransactionHash, wire: RpcTransactionReceipt | null): TransactionReceipt | undefined {
  if (wire === null) return undefined;
  const { transactionHash, blockHash, blockNumber, status, gasUsed, effectiveGasPrice, logs } = Object(wire) as {
    readonly [Name in keyof RpcTransactionReceipt]?: unknown;
  };
  const isOf = typeof transactionHash === "string" && transactionHash.toLowerCase() === hash.toLowerCase();
  if (isOf && blockNumber === null) return undefined;
  const isWhole =
    [blockHash, blockNumber, gasUsed, effectiveGasPrice].every((value) => isHex(value)) &&
    (status === "0x0" || status === "0x1") &&
    Array.isArray(logs) &&
    logs.every(isLog);
  if (isOf && isWhole) return formatTransactionReceipt(wire);
  throw new RpcUnavailableError(readingReceipt, { said: "its answer is no receipt of this transaction" });
}

function isLog(log: unknown): boolean {
  const { address, topics, data } = Object(log) as {
    readonly address?: unknown;
    readonly topics?: unknown;
    readonly data?: unknown;
  };
  return isHex(address) && isHex(data) && Array.isArray(topics) && topics.every((topic) => isHex(topic));
}

const readingBlock = "reading the transaction's block";

/**
 * Whether the block of a receipt is part of the chain. After a reorganisation, a cache before a node may still return
 * the old receipt.
 *
 * @throws RpcUnavailableError, also if the endpoint does not know the block: then it is behind, and says nothing
 */
export async function isBlockOnChain(
  client: ChainClient,
  { blockNumber, blockHash }: Pick<TransactionReceipt, "blockNumber" | "blockHash">,
): Promise<boolean> {
  const block = await withRpcErrors(client, readingBlock, () =>
    client.request({ method: "eth_getBlockByNumber", params: [numberToHex(blockNumber), false] }),
  );
  if (block !== null) return block.hash === blockHash;
  throw new RpcUnavailableError(readingBlock, { said: `it does not know block ${blockNumber}` });
}

/** What is known of a mined transaction, for the ledger. */
export function proofOf(receipt: TransactionReceipt) {
  const { blockNumber, gasUsed } = receipt;
  return {
    transactionHash: parseTransactionHash(receipt.transactionHash),
    ...{ blockNumber, gasUsed, costWei: costOf(receipt) },
  };
}

export interface ReadSendersParameters {
  readonly transactionHashes: Iterable<TransactionHash>;
}

const requestsAtOnce = 8;

/**
 * Reads the sender of each transaction. Leaves out transactions that the node does not know. For a change through a
 * Safe, the sender is the account that paid, not the owners who decided.
 *
 * @throws RpcUnavailableError
 */
export async function readSenders(
  client: ChainClient,
  { transactionHashes }: ReadSendersParameters,
): Promise<ReadonlyMap<TransactionHash, Address>> {
  const readSender = async (hash: TransactionHash): Promise<[TransactionHash, Address][]> => {
    const transaction = await withRpcErrors(client, "reading who sent a transaction", () =>
      client.request({ method: "eth_getTransactionByHash", params: [hash] }),
    );
    return isHex(transaction?.from) ? [[hash, getAddress(transaction.from)]] : [];
  };
  const found = await mapLimited([...new Set(transactionHashes)], readSender, { limit: requestsAtOnce });
  return new Map(found.flat());
}
