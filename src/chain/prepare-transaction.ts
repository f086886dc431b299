import type { Abi, Account, Address, Hex } from "viem";
import { getBalance } from "viem/actions";
import { gasCeilingOf } from "../core/order-calls.ts";
import { InsufficientFundsError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { readFees } from "./read-fees.ts";
import { readGasLimit } from "./read-gas-limit.ts";
import { readNextNonce } from "./read-nonce.ts";
import { requireSigningChain } from "./require-chain.ts";
import { signTransaction } from "./sign-transaction.ts";
import { simulateCall } from "./simulate-call.ts";
import { duringRpc } from "./translate-chain-error.ts";

export interface PrepareTransactionParameters {
  readonly account: Account;
  readonly to: Address;
  readonly data: Hex;
  /** Whose custom errors a refusal is decoded with. */
  readonly abi: Abi;
  readonly functionName: string;
  /** The chain the contract lives on. Another one behind the endpoint is a WrongChainError. */
  readonly chainId?: number | undefined;
  /**
   * By default the signer's next one, pending transactions counted. Pass the last one plus one after a transaction
   * you have just seen mined: endpoints behind a balancer may still answer with the old count.
   */
  readonly nonce?: number | undefined;
}

/**
 * Decides every field of the transaction, after a simulation has shown that the contract would accept it, and signs
 * it if the key is here. Sends nothing. What the endpoint has a say in is bounded here: gas, tip, base fee and nonce.
 *
 * @throws WrongChainError, NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError,
 * ImplausibleAnswerError, InsufficientFundsError, RpcUnavailableError
 */
export async function prepareTransaction(
  client: ChainClient,
  { account, to, data, abi, functionName, ...wanted }: PrepareTransactionParameters,
): Promise<PreparedTransaction> {
  const from = account.address;
  const call = { from, to, data, abi, functionName };
  const chainId = await requireSigningChain(client, { account, chainId: wanted.chainId });
  await simulateCall(client, call);
  const [nonce, gas, fees, balance] = await Promise.all([
    wanted.nonce ?? readNextNonce(client, { address: from }),
    readGasLimit(client, { ...call, ceiling: gasCeilingOf(functionName) }),
    readFees(client),
    duringRpc("reading the balance", () => getBalance(client, { address: from })),
  ]);
  const highestPrice = gas * fees.maxFeePerGas;
  if (balance < highestPrice) throw new InsufficientFundsError(from, balance, highestPrice);

  return signTransaction(client, {
    account,
    transaction: { chainId, to, data, nonce, gas, ...fees, functionName },
  });
}
