import type { Abi, Address } from "viem";
import type { Hex, TransactionHash } from "../../core/ids.ts";
import { gasCeilingOf } from "../../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../../core/owner-calls.ts";
import { NonceTakenError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { type LedgerPurpose, lastAttempt } from "./ledger-records.ts";
import { openSender } from "./sender.ts";
import type { SenderParameters } from "./sender-parameters.ts";
import { readGasLimit, simulateCall } from "./simulate.ts";

/**
 * Parameters that every action takes that sends one transaction and does not wait for it. Without a `ledger` on disk,
 * nothing but `beforeSend` keeps what was signed: a second call then signs a second transaction.
 */
export interface WriteParameters
  extends Pick<
    SenderParameters,
    "account" | "chainId" | "ledger" | "beforeSend" | "maxFeePerGas" | "maxPriorityFeePerGas"
  > {
  /**
   * The lowest nonce that the transaction may have. Default: the signer's next nonce, including pending transactions. If
   * you have just seen a transaction mined, pass its nonce plus one: endpoints behind a load balancer may still return
   * the old count.
   */
  readonly nonce?: number | undefined;
}

export interface CallToSend {
  readonly to: Address;
  readonly data: Hex;
  /** ABI that decodes the custom error of a revert. */
  readonly abi: Abi;
  readonly functionName: string;
  readonly calls: readonly OwnerCall[];
  readonly purpose: LedgerPurpose;
}

/**
 * Checks the chain, simulates the call, chooses nonce, gas and fees within limits, signs, records and sends it. It does
 * not wait for the receipt. If the ledger has an open transaction with the same call, it sends that again.
 *
 * @throws SignerRequiredError, InvalidHexError, WrongChainError, NoContractError, NotOwnerError, ContractOwnerError,
 * ContractRevertedError, ImplausibleAnswerError, InsufficientFundsError, NonceTakenError, TransactionUnderpricedError,
 * UnsignedRecordError, LedgerError, RpcUnavailableError
 */
export async function sendCall(
  client: ChainClient,
  { calls, purpose, ...call }: CallToSend,
  { nonce, ...parameters }: WriteParameters,
): Promise<TransactionHash> {
  const { to, data, functionName } = call;
  using sender = await openSender(client, parameters, { purpose, calls, title: functionName });
  const simulated = { ...call, from: sender.context.account.address };
  await simulateCall(client, simulated);
  const gas = await readGasLimit(client, { ...simulated, ceiling: gasCeilingOf(calls[0] ?? { functionName }) });
  const transaction = await sender.post({ to, data, gas, functionName, calls }, nonce);
  if (calls.length > 0) sender.complete();
  const { transactionHash } = transaction.proof ?? lastAttempt(transaction);
  if (transactionHash !== undefined) return transactionHash;
  throw new NonceTakenError(transaction.from, transaction.nonce, undefined, { kind: "waiting" });
}

/** As `sendCall`, for the call of an owner. */
export function sendOwnerCall(client: ChainClient, call: OwnerCall, write: WriteParameters): Promise<TransactionHash> {
  const { to, data, functionName } = call;
  const purpose = { kind: "batch" } as const;
  return sendCall(client, { to, data, functionName, abi: abiOf(call), calls: [call], purpose }, write);
}
