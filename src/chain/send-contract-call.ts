import type { Account, Address } from "viem";
import { parseAccount } from "viem/accounts";
import type { TransactionHash } from "../core/ids.ts";
import { SignerRequiredError } from "../errors/index.ts";
import { broadcastTransaction } from "./broadcast-transaction.ts";
import type { ChainClient } from "./chain-client.ts";
import { parseAddress } from "./parse-address.ts";
import { type PrepareTransactionParameters, prepareTransaction } from "./prepare-transaction.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";

type CallParameters = Omit<PrepareTransactionParameters, "account">;

/** What every paying action takes beside its own values. */
export interface WriteParameters extends Pick<CallParameters, "chainId" | "nonce"> {
  /** Who signs and pays; a bare address is one whose key the node holds. By default the client's account. */
  readonly account?: Account | Address | undefined;
  /** Called with the final (for a local account: signed) transaction before it is sent. If it throws, nothing is sent. */
  readonly beforeSend?: ((prepared: PreparedTransaction) => Promise<void> | void) | undefined;
}

export interface SendContractCallParameters extends WriteParameters, CallParameters {}

/**
 * The only way this package pays: check the chain, simulate, decide nonce, gas and fees, sign, let the caller write
 * it down, broadcast. It does not wait for the receipt.
 *
 * @throws SignerRequiredError, InvalidHexError, WrongChainError, NoContractError, NotOwnerError, ContractOwnerError,
 * ContractRevertedError, InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function sendContractCall(
  client: ChainClient,
  { account = client.account, beforeSend, ...call }: SendContractCallParameters,
): Promise<TransactionHash> {
  if (account === undefined) throw new SignerRequiredError([call.functionName]);
  const signer = typeof account === "string" ? parseAddress("The signer's address", account) : account;
  const prepared = await prepareTransaction(client, { ...call, account: parseAccount(signer) });
  await beforeSend?.(prepared);
  return broadcastTransaction(client, prepared);
}
