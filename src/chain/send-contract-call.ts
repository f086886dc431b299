import type { Abi, Account, Address, Hex } from "viem";
import { parseAccount } from "viem/accounts";
import type { TransactionHash } from "../core/ids.ts";
import { SignerRequiredError } from "../errors/index.ts";
import { broadcastTransaction } from "./broadcast-transaction.ts";
import type { ChainClient } from "./chain-client.ts";
import { prepareTransaction } from "./prepare-transaction.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";

/** What every paying action takes beside its own values. */
export interface WriteParameters {
  /** Who signs and pays; a bare address is one whose key the node holds. By default the client's account. */
  readonly account?: Account | Address | undefined;
  /** The chain the contract lives on. Another one behind the endpoint is a WrongChainError. */
  readonly chainId?: number | undefined;
  /**
   * By default the signer's next one, pending transactions counted. Pass the last one plus one after a transaction
   * you have just seen mined: endpoints behind a balancer may still answer with the old count.
   */
  readonly nonce?: number | undefined;
  /** Called with the final (for a local account: signed) transaction before it is sent. If it throws, nothing is sent. */
  readonly beforeSend?: ((prepared: PreparedTransaction) => Promise<void> | void) | undefined;
}

export interface SendContractCallParameters extends WriteParameters {
  readonly to: Address;
  readonly data: Hex;
  /** Whose custom errors a refusal is decoded with. */
  readonly abi: Abi;
  readonly functionName: string;
}

/**
 * The only way this package pays: check the chain, simulate, decide nonce, gas and fees, sign, let the caller write
 * it down, broadcast. It does not wait for the receipt.
 *
 * @throws SignerRequiredError, WrongChainError, NoContractError, NotOwnerError, ContractOwnerError,
 * ContractRevertedError, InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function sendContractCall(
  client: ChainClient,
  { account = client.account, beforeSend, ...call }: SendContractCallParameters,
): Promise<TransactionHash> {
  if (account === undefined) throw new SignerRequiredError([call.functionName]);
  const prepared = await prepareTransaction(client, { ...call, account: parseAccount(account) });
  await beforeSend?.(prepared);
  return broadcastTransaction(client, prepared);
}
