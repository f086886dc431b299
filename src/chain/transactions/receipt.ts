import { type Address, formatTransactionReceipt, getAddress, hexToBigInt, isHex, type TransactionReceipt } from "viem";
import type { TransactionHash } from "../../core/ids.ts";
import { mapLimited } from "../../core/map-limited.ts";
import { ReceiptTimeoutError, TransactionRevertedError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { withoutSecrets, withRpcErrors } from "../rpc-errors.ts";

export interface WaitForReceiptParameters {
  readonly transactionHash: TransactionHash;
  /** Number of blocks that must contain or follow the transaction. 1 is the block that contains it. Default 1. */
  readonly confirmations?: number | undefined;
  /** Default 120,000 ms. */
  readonly timeoutMs?: number | undefined;
  /** Default: the client's polling interval, in ms. */
  readonly pollIntervalMs?: number | undefined;
  /** Name of the called function, for the error message of a revert. */
  readonly functionName: string;
}

export type WaitForReceiptReturnType = TransactionReceipt;

/**
 * Polls until the transaction is mined and confirmed. Reads the receipt again at every poll, so it keeps waiting if a
 * reorg removes the receipt. If the endpoint fails, it retries until the time is up.
 *
 * @throws TransactionRevertedError, ReceiptTimeoutError
 */
export async function waitForReceipt(
  client: ChainClient,
  parameters: WaitForReceiptParameters,
): Promise<WaitForReceiptReturnType> {
  const { transactionHash, confirmations = 1, functionName } = parameters;
  const { timeoutMs = 120_000, pollIntervalMs = client.pollingInterval } = parameters;
  const start = Date.now();
  for (;;) {
    let fault: unknown;
    try {
      const signal = AbortSignal.timeout(Math.max(1, timeoutMs - (Date.now() - start)));
      const receipt = await readConfirmedReceipt(client, transactionHash, confirmations, signal);
      if (receipt?.status === "reverted") throw new TransactionRevertedError(transactionHash, functionName);
      if (receipt !== undefined) return receipt;
    } catch (error) {
      if (error instanceof TransactionRevertedError) throw error;
      fault = error;
    }
    const waitedMs = Date.now() - start;
    if (waitedMs >= timeoutMs) {
      throw new ReceiptTimeoutError(
        transactionHash,
        waitedMs,
        fault === undefined ? {} : { cause: withoutSecrets(client, fault) },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(pollIntervalMs, timeoutMs - waitedMs)));
  }
}

/** Returns undefined while the transaction is not mined, has too few confirmations, or is in a pending block. */
async function readConfirmedReceipt(
  client: ChainClient,
  transactionHash: TransactionHash,
  confirmations: number,
  signal: AbortSignal,
): Promise<TransactionReceipt | undefined> {
  const options = { signal, retryCount: 0 }; // the loop retries
  const receipt = await client.request({ method: "eth_getTransactionReceipt", params: [transactionHash] }, options);
  if (!receipt?.blockNumber) return undefined;
  if (confirmations > 1) {
    const head = await client.request({ method: "eth_blockNumber" }, options);
    if (hexToBigInt(head) - hexToBigInt(receipt.blockNumber) + 1n < BigInt(confirmations)) return undefined;
  }
  return formatTransactionReceipt(receipt);
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
