import { type Address, formatTransactionReceipt, getAddress, hexToBigInt, isHex, type TransactionReceipt } from "viem";
import type { TransactionHash } from "../../core/ids.ts";
import { mapLimited } from "../../core/map-limited.ts";
import { ReceiptTimeoutError, TransactionRevertedError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { duringRpc, withoutSecrets } from "../rpc-errors.ts";

export interface WaitForReceiptParameters {
  readonly transactionHash: TransactionHash;
  /** Blocks that must hold the transaction or follow it; 1 is the block it was mined in. Default 1. */
  readonly confirmations?: number | undefined;
  /** Default 120,000 ms. */
  readonly timeoutMs?: number | undefined;
  /** Default: the client's polling interval, in ms. */
  readonly pollIntervalMs?: number | undefined;
  /** What was called, for the message if it reverted. */
  readonly functionName: string;
}

export type WaitForReceiptReturnType = TransactionReceipt;

/**
 * Polls until the transaction is mined and confirmed. The receipt is read again at every poll, so one that a reorg
 * takes away is waited for anew; an endpoint that fails in between is asked again until the time is up.
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

/** Undefined while it is not mined, or not deep enough, or mined in a block that is still being built. */
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
 * Who sent each of these transactions; those the node no longer knows are left out. Of a change that went through a Safe
 * it is whoever paid, not who decided.
 *
 * @throws RpcUnavailableError
 */
export async function readSenders(
  client: ChainClient,
  { transactionHashes }: ReadSendersParameters,
): Promise<ReadonlyMap<TransactionHash, Address>> {
  const readSender = async (hash: TransactionHash): Promise<[TransactionHash, Address][]> => {
    const transaction = await duringRpc(client, "reading who sent a transaction", () =>
      client.request({ method: "eth_getTransactionByHash", params: [hash] }),
    );
    return isHex(transaction?.from) ? [[hash, getAddress(transaction.from)]] : [];
  };
  const found = await mapLimited([...new Set(transactionHashes)], readSender, { limit: requestsAtOnce });
  return new Map(found.flat());
}
