import { type Hex, keccak256, numberToHex } from "viem";
import { getBalance, getTransactionCount, sendRawTransaction } from "viem/actions";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { type DstackError, InsufficientFundsError, NonceTakenError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { errorChain, errorText } from "./error-chain.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { readIsKnown } from "./read-is-known.ts";
import { duringRpc, translateChainError } from "./translate-chain-error.ts";

// There are no codes for these; each node words them its own way.
const alreadyKnown = /already ?known|already imported|\bknown transaction/i;
const underpriced = /replacement transaction underpriced|could not replace/i;
const noFunds = /insufficient funds|enough funds|exceeds transaction sender account balance/i;

/**
 * Hands a prepared transaction to the node. The same signed bytes may be handed over any number of times: the nonce
 * in them lets them be mined once, and a node that has them already is no failure.
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
    const isThere = says(error, alreadyKnown) || (await readIsKnown(client, transactionHash));
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
    // Without the client's own retries: a wallet would ask its user once more for each.
    const hash = await client.request({ method: "eth_sendTransaction", params: [transaction] }, { retryCount: 0 });
    return parseTransactionHash(hash);
  } catch (error) {
    throw await explainRefusal(client, prepared, error);
  }
}

async function explainRefusal(
  client: ChainClient,
  { from, nonce, functionName, transactionHash }: PreparedTransaction,
  error: unknown,
): Promise<DstackError> {
  const doing = `broadcasting ${functionName}`;
  if (says(error, noFunds)) {
    return new InsufficientFundsError(from, await duringRpc(doing, () => getBalance(client, { address: from })));
  }
  if (says(error, underpriced)) return new NonceTakenError(from, nonce, transactionHash);
  const used = await duringRpc(doing, () => getTransactionCount(client, { address: from, blockTag: "latest" }));
  return used > nonce ? new NonceTakenError(from, nonce, transactionHash) : translateChainError(error, doing);
}

function says(error: unknown, words: RegExp): boolean {
  return errorChain(error).some((link) => words.test(errorText(link)));
}
