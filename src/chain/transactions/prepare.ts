import { type Abi, type Account, type Address, type Hex, keccak256, parseGwei, type SignedAuthorization } from "viem";
import { estimateMaxPriorityFeePerGas, getBalance, getBlock, getTransactionCount } from "viem/actions";
import { parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import { gasCeilingOf } from "../../core/order-calls.ts";
import { ImplausibleAnswerError, InsufficientFundsError } from "../../errors/index.ts";
import { type ChainClient, requireSigningChain } from "../client.ts";
import { duringRpc } from "../rpc-errors.ts";
import { readGasLimit, simulateCall } from "./simulate.ts";

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
    duringRpc(client, "reading the balance", () => getBalance(client, { address: from })),
  ]);
  const highestPrice = gas * fees.maxFeePerGas;
  if (balance < highestPrice) throw new InsufficientFundsError(from, balance, highestPrice);

  return signTransaction(client, {
    account,
    transaction: { chainId, to, data, nonce, gas, ...fees, functionName },
  });
}

/** More transactions of one account than nodes keep waiting. */
export const mostWaiting = 64;

export interface ReadNextNonceParameters {
  readonly address: Address;
  /** What is known besides: the nonce that was shown, or the one after a transaction seen mined. */
  readonly known?: number | undefined;
}

/**
 * The nonce of an account's next transaction, those that wait counted. The endpoint alone names it, and a signature for
 * a nonce far ahead is a transaction that can be mined months later. So a count is refused that runs away from the mined
 * one, or from what is known of the account.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readNextNonce(client: ChainClient, { address, known }: ReadNextNonceParameters): Promise<number> {
  const count = (blockTag: "latest" | "pending") => getTransactionCount(client, { address, blockTag });
  const [mined, pending] = await duringRpc(client, "reading the nonce", () =>
    Promise.all([count("latest"), count("pending")]),
  );
  const next = Math.max(mined, pending);
  const most = Math.min(mined, known ?? mined) + mostWaiting;
  if (known !== undefined && next <= known) return next;
  if (next > most || !Number.isSafeInteger(next)) {
    throw new ImplausibleAnswerError({ what: `the next nonce of ${address}`, told: next, most });
  }
  return next;
}

/** A transaction with every field decided. Sent again, it is the same transaction: its nonce can be used only once. */
export interface PreparedTransaction {
  readonly chainId: number;
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  readonly nonce: number;
  /** Gas limit, in gas. */
  readonly gas: bigint;
  /** Most that is paid per gas, in wei. */
  readonly maxFeePerGas: bigint;
  /** Part of it for the block's builder, in wei per gas. */
  readonly maxPriorityFeePerGas: bigint;
  /** What the call is, for people: `data` decides. */
  readonly functionName: string;
  /** The signed bytes. Absent if the signer's key is with the node or a wallet. */
  readonly rawTransaction?: Hex | undefined;
  /** Hash of the signed bytes, known before they are sent. */
  readonly transactionHash?: TransactionHash | undefined;
}

/** The tip is the one part of the price an endpoint can make us pay by naming a wild number; wei per gas. */
export const highestTip = parseGwei("3");
/** Above every base fee a chain has seen, in wei per gas. */
const highestBaseFee = parseGwei("10000");

export interface ReadFeesReturnType {
  /**
   * Wei per gas. Room for the base fee to double before the transaction is mined. A base fee that the endpoint made up
   * costs nothing by itself: the block's own base fee is paid, which the chain's consensus decides, plus the tip.
   */
  readonly maxFeePerGas: bigint;
  /** Wei per gas, at most 3 gwei. */
  readonly maxPriorityFeePerGas: bigint;
}

/**
 * EIP-1559 fees for a transaction that may wait a while.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readFees(client: ChainClient): Promise<ReadFeesReturnType> {
  const [block, suggestedTip] = await duringRpc(client, "reading the fees", () =>
    Promise.all([getBlock(client), estimateMaxPriorityFeePerGas(client)]),
  );
  const baseFee = block.baseFeePerGas ?? 0n;
  if (baseFee > highestBaseFee) {
    throw new ImplausibleAnswerError({ what: "the base fee in wei per gas", told: baseFee, most: highestBaseFee });
  }
  const isTame = suggestedTip <= highestTip;
  const maxPriorityFeePerGas = isTame ? suggestedTip : highestTip;
  return { maxFeePerGas: 2n * baseFee + maxPriorityFeePerGas, maxPriorityFeePerGas };
}

export interface SignTransactionParameters {
  readonly account: Account;
  readonly transaction: Omit<PreparedTransaction, "from" | "rawTransaction" | "transactionHash">;
  /** Makes it an EIP-7702 transaction. */
  readonly authorization?: SignedAuthorization | undefined;
}

/**
 * Signs a transaction whose every field is decided, if the key is here. Sends nothing. It carries no value, and no tip
 * above the highest: whoever prepared it.
 *
 * @throws ImplausibleAnswerError
 */
export async function signTransaction(
  client: ChainClient,
  { account, transaction, authorization }: SignTransactionParameters,
): Promise<PreparedTransaction> {
  const { functionName, ...fields } = transaction;
  const { maxPriorityFeePerGas: told } = fields;
  if (told > highestTip) throw new ImplausibleAnswerError({ what: "the tip in wei per gas", told, most: highestTip });
  const prepared = { ...transaction, from: account.address };
  if (account.type !== "local") return prepared;
  const rawTransaction = await account.signTransaction(
    authorization === undefined
      ? { ...fields, value: 0n, type: "eip1559" }
      : { ...fields, value: 0n, type: "eip7702", authorizationList: [authorization] },
    { serializer: client.chain?.serializers?.transaction },
  );
  return { ...prepared, rawTransaction, transactionHash: parseTransactionHash(keccak256(rawTransaction)) };
}
