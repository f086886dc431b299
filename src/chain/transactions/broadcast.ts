import { type Hex, isHash, keccak256, numberToHex } from "viem";
import { getTransactionCount, sendRawTransaction } from "viem/actions";
import { parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import {
  type DstackError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionUnderpricedError,
} from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { says, translateChainError, withRpcErrors } from "../rpc-errors.ts";
import { readBaseFee } from "./fees.ts";
import type { FollowContext } from "./follow-context.ts";
import { type LedgerTransaction, lastAttempt, preparedOf } from "./ledger-records.ts";
import type { PreparedTransaction } from "./prepare.ts";
import { explainFunds } from "./price.ts";

// These errors have no codes, and each node has its own wording.
const alreadyKnown = /already ?known|already imported|\bknown transaction/i;
const taken = /replacement transaction underpriced|could not replace/i;
const belowBaseFee =
  /(?:max ?fee|fee cap|gas price|maxFeePerGas).{0,60}(?:less than (?:the )?(?:pending )?(?:block|base)|too low for the next block)/i;
const tooCheap = /transaction (?:gas price )?(?:is )?underpriced|fee too low|gas price below/i;
const poolIsFull =
  /in-?flight transaction limit|gapped-?nonce|account limit exceeded|(?:tx|mem)pool is full|nonce too high|too many pending/i;

/**
 * Sends the last attempt of a recorded transaction, and records that the endpoint has taken it.
 *
 * @throws what broadcastTransaction throws, LedgerError
 */
export async function broadcastRecorded(
  { client, ledger }: Pick<FollowContext, "client" | "ledger">,
  transaction: LedgerTransaction,
): Promise<LedgerTransaction> {
  const attempt = lastAttempt(transaction);
  const hash = await broadcastTransaction(client, preparedOf(transaction, attempt));
  // A node or a wallet that is asked again may sign other bytes.
  const isKnown = attempt.isSent && attempt.transactionHash === hash;
  return isKnown ? transaction : ledger.markSent(transaction.id, attempt.id, hash);
}

/**
 * Sends a prepared transaction to the node. The same signed bytes may be sent any number of times: their nonce lets
 * them be mined only once, and it is not an error if the node already has them.
 *
 * @throws InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function broadcastTransaction(
  client: ChainClient,
  prepared: PreparedTransaction,
): Promise<TransactionHash> {
  const { rawTransaction } = prepared;
  return rawTransaction === undefined
    ? sendThroughNode(client, prepared)
    : sendSigned(client, prepared, rawTransaction);
}

async function sendSigned(
  client: ChainClient,
  prepared: PreparedTransaction,
  serializedTransaction: Hex,
): Promise<TransactionHash> {
  const transactionHash = parseTransactionHash(keccak256(serializedTransaction));
  try {
    const answer: unknown = await sendRawTransaction(client, { serializedTransaction });
    if (typeof answer !== "string") throw new Error("The endpoint's answer holds no result.");
  } catch (error) {
    const isThere = says(error, alreadyKnown) || (await readByHash(client, transactionHash)) !== undefined;
    if (!isThere) throw await explainRefusal(client, prepared, error);
  }
  return transactionHash;
}

async function sendThroughNode(client: ChainClient, prepared: PreparedTransaction): Promise<TransactionHash> {
  const { chainId, from, to, data, nonce, gas, maxFeePerGas, maxPriorityFeePerGas } = prepared;
  const transaction = {
    chainId: numberToHex(chainId),
    from,
    to,
    data,
    nonce: numberToHex(nonce),
    gas: numberToHex(gas),
    maxFeePerGas: numberToHex(maxFeePerGas),
    maxPriorityFeePerGas: numberToHex(maxPriorityFeePerGas),
  };
  try {
    // No retries: a wallet would ask its user again for each one.
    const hash = await client.request({ method: "eth_sendTransaction", params: [transaction] }, { retryCount: 0 });
    if (!isHash(hash)) throw new Error("The endpoint's answer holds no transaction hash.");
    return parseTransactionHash(hash);
  } catch (error) {
    throw await explainRefusal(client, prepared, error);
  }
}

async function explainRefusal(
  client: ChainClient,
  prepared: PreparedTransaction,
  error: unknown,
): Promise<DstackError> {
  const { from, nonce, functionName, transactionHash, maxFeePerGas, gas } = prepared;
  const doing = `broadcasting ${functionName}`;
  const unpaid = await explainFunds(client, error, { address: from, neededWei: gas * maxFeePerGas });
  if (unpaid !== undefined) return unpaid;
  if (says(error, taken)) return new NonceTakenError(from, nonce, transactionHash);
  if (says(error, belowBaseFee) || says(error, tooCheap)) {
    const baseFee = await readBaseFee(client);
    const baseFeePerGas = baseFee > maxFeePerGas ? baseFee : undefined;
    const details = { signer: from, nonce, functionName, transactionHash, maxFeePerGas, baseFeePerGas };
    return new TransactionUnderpricedError(details);
  }
  const used = await withRpcErrors(client, doing, () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return used > nonce ? new NonceTakenError(from, nonce, transactionHash) : translateChainError(client, error, doing);
}

/** Whether a node has no room now for a transaction of this account, and will have when others of it are mined. */
export function isPoolLimit(error: unknown): boolean {
  return error instanceof RpcUnavailableError && says(error, poolIsFull);
}

/** A node that rejects transactions of type 4 cannot have forwarded it either. */
export function isUnknownType(error: unknown): boolean {
  return error instanceof RpcUnavailableError && says(error, /(?:transaction|tx)[ -]type|type (?:is )?not supported/i);
}

/** Whether the user of a wallet declined, so that nothing was signed. */
export function isUserRejection(error: unknown): boolean {
  return error instanceof RpcUnavailableError && says(error, /user (?:rejected|denied|declined)/i);
}

/** The transaction as the node knows it, mined or pending. @throws RpcUnavailableError */
async function readByHash(client: ChainClient, transactionHash: TransactionHash) {
  const found = await withRpcErrors(client, "looking for the transaction", () =>
    client.request({ method: "eth_getTransactionByHash", params: [transactionHash] }),
  );
  return found?.hash?.toLowerCase() === transactionHash.toLowerCase() ? found : undefined;
}

/**
 * Returns whether the node knows the transaction that the record names, and whether it is the recorded call. A record
 * from an untrusted source may name any transaction, such as an old one with the same event.
 *
 * @throws RpcUnavailableError
 */
export async function readIsRecorded(
  client: ChainClient,
  { from, nonce, to, data, transactionHash }: PreparedTransaction,
): Promise<boolean> {
  const found = transactionHash && (await readByHash(client, transactionHash));
  return (
    found !== undefined &&
    Number(found.nonce) === nonce &&
    [found.from, found.to, found.input].join().toLowerCase() === [from, to, data].join().toLowerCase()
  );
}
