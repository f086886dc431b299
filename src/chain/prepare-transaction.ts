import { type Abi, type Account, type Address, type Hex, keccak256 } from "viem";
import { estimateGas, getBalance, getTransactionCount } from "viem/actions";
import { parseTransactionHash } from "../core/ids.ts";
import { InsufficientFundsError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { findRevert } from "./find-revert.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { readFees } from "./read-fees.ts";
import { requireChain } from "./require-chain.ts";
import { explainRevert, type SimulateCallParameters, simulateCall } from "./simulate-call.ts";
import { duringRpc, translateChainError } from "./translate-chain-error.ts";

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
 * it if the key is here. Sends nothing.
 *
 * @throws WrongChainError, NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError,
 * InsufficientFundsError, RpcUnavailableError
 */
export async function prepareTransaction(
  client: ChainClient,
  { account, to, data, abi, functionName, ...wanted }: PrepareTransactionParameters,
): Promise<PreparedTransaction> {
  const from = account.address;
  const call = { from, to, data, abi, functionName };
  const chainId = await requireChain(client, wanted.chainId);
  await simulateCall(client, call);
  const [nonce, gas, fees, balance] = await Promise.all([
    wanted.nonce ??
      duringRpc("reading the nonce", () => getTransactionCount(client, { address: from, blockTag: "pending" })),
    readGasLimit(client, call),
    readFees(client),
    duringRpc("reading the balance", () => getBalance(client, { address: from })),
  ]);
  if (balance < gas * fees.maxFeePerGas) throw new InsufficientFundsError(from, balance);

  const transaction = { chainId, to, data, nonce, gas, ...fees };
  const prepared = { ...transaction, from, functionName };
  if (account.type !== "local") return prepared;
  const rawTransaction = await account.signTransaction(
    { ...transaction, type: "eip1559" },
    { serializer: client.chain?.serializers?.transaction },
  );
  return { ...prepared, rawTransaction, transactionHash: parseTransactionHash(keccak256(rawTransaction)) };
}

/** A fifth more than the node's estimate, in gas: the state may move before the transaction is mined. */
async function readGasLimit(client: ChainClient, call: SimulateCallParameters): Promise<bigint> {
  const { from, to, data, abi, functionName } = call;
  try {
    return ((await estimateGas(client, { account: from, to, data })) * 6n) / 5n;
  } catch (error) {
    const revert = findRevert(error, abi);
    if (revert === undefined) throw translateChainError(error, `estimating the gas of ${functionName}`);
    throw await explainRevert(client, call, revert);
  }
}
