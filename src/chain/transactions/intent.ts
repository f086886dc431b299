import type { Address, SignedAuthorization } from "viem";
import type { Hex } from "../../core/ids.ts";
import { gasCeilingOf } from "../../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../../core/owner-calls.ts";
import type { ChainClient } from "../client.ts";
import { readGasLimit } from "./simulate.ts";

/** A transaction without fees and nonce. */
export interface TransactionIntent {
  readonly to: Address;
  readonly data: Hex;
  /** Gas limit. */
  readonly gas: bigint;
  readonly functionName: string;
  /** The owner's calls in it. */
  readonly calls: readonly OwnerCall[];
  /** Signs the sender's own authorisation (EIP-7702) for the transaction's nonce. */
  readonly authorize?: ((transactionNonce: number) => Promise<SignedAuthorization>) | undefined;
}

/**
 * Tries one owner's call on the node, and returns the transaction that makes it.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, ImplausibleAnswerError, RpcUnavailableError
 */
export async function readIntent(
  client: ChainClient,
  { from, call }: { readonly from: Address; readonly call: OwnerCall },
): Promise<TransactionIntent> {
  const { to, data, functionName } = call;
  const ceiling = gasCeilingOf(functionName);
  const gas = await readGasLimit(client, { from, to, data, functionName, abi: abiOf(call), ceiling });
  return { to, data, functionName, gas, calls: [call] };
}
