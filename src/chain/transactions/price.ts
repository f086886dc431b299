import { type Address, getAddress, type Hex } from "viem";
import { getBalance } from "viem/actions";
import type { Price, PriceEstimate } from "../../core/price.ts";
import { InsufficientFundsError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { errorChain, errorText, findRevert, says, withRpcErrors } from "../rpc-errors.ts";
import { type NamedFees, type ReadFeesReturnType, readBaseFee, readFees } from "./fees.ts";
import { readRollupFees } from "./rollup-fees.ts";

/** A transaction that may be sent. */
export interface PricedTransaction {
  readonly to: Address;
  readonly data: Hex;
  /** Gas that it is expected to use. @default the gas limit */
  readonly gas?: bigint | undefined;
  /** The most gas that it can use. */
  readonly gasLimit: bigint;
  /** The highest limit that may be signed instead, if the gas is estimated again before that. @default the gas limit */
  readonly gasCeiling?: bigint | undefined;
  /** Whether it carries an authorisation (EIP-7702). @default false */
  readonly authorizes?: boolean | undefined;
}

export interface EstimatePriceParameters extends NamedFees {
  readonly transactions: readonly PricedTransaction[];
  /** Fees per gas that the transactions will have. @default the chain's present ones, as transactions are sent with */
  readonly fees?: ReadFeesReturnType | undefined;
}

/**
 * Returns what transactions will cost before they are signed. The endpoint supplies the fees. A false one costs nothing
 * by itself, because the chain computes what it takes, up to the limits in the signed transaction.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 *
 * @example
 * import { estimatePrice } from "dstack-toolkit/chain";
 * import { call, client } from "./app.js";
 * const { expected, most } = await estimatePrice(client, { transactions: [{ ...call, gasLimit: 120_000n }] });
 */
export async function estimatePrice(client: ChainClient, parameters: EstimatePriceParameters): Promise<PriceEstimate> {
  return toEstimate(parameters.transactions, await readQuotes(client, parameters));
}

export interface RequireFundsParameters extends EstimatePriceParameters {
  /** The account that pays. */
  readonly address: Address;
}

/**
 * Returns the price if the account can pay the most that these transactions cost with their gas limits, the fees of a
 * rollup included.
 *
 * @throws InsufficientFundsError, ImplausibleAnswerError, RpcUnavailableError
 */
export async function requireFunds(
  client: ChainClient,
  { address, ...planned }: RequireFundsParameters,
): Promise<PriceEstimate> {
  const [balance, quotes] = await Promise.all([
    withRpcErrors(client, "reading the balance", () => getBalance(client, { address })),
    readQuotes(client, planned),
  ]);
  const needed = quotes.most(({ gasLimit }) => gasLimit).total;
  if (balance < needed) throw new InsufficientFundsError(address, balance, needed);
  return toEstimate(planned.transactions, quotes);
}

// Nodes have no code for this.
const noFunds = /insufficient funds|enough funds|exceeds transaction sender account balance/i;
/** Statuses with which a provider speaks of the user's plan, not of the sender. */
const statusesOfPlans: ReadonlySet<unknown> = new Set([401, 402, 403, 429]);

export interface SpendingAccount {
  /** The account that would pay. */
  readonly address: Address;
  /** The highest cost, if it is known. @default what the node names */
  readonly neededWei?: bigint | undefined;
}

/**
 * Sends a request about a transaction: its simulation, its estimate or itself. Other errors are thrown unchanged.
 *
 * @throws InsufficientFundsError if the node refuses it because the account cannot pay
 */
export async function withFundsError<result>(
  client: ChainClient,
  account: SpendingAccount,
  request: () => Promise<result>,
): Promise<result> {
  try {
    return await request();
  } catch (error) {
    throw (await explainFunds(client, error, account)) ?? error;
  }
}

/** The error of a request that the node refused because the account cannot pay. Undefined for another refusal. */
export async function explainFunds(
  client: ChainClient,
  error: unknown,
  { address, neededWei }: SpendingAccount,
): Promise<InsufficientFundsError | undefined> {
  const chain = errorChain(error);
  const isOfPlan = chain.some((link) => statusesOfPlans.has(Reflect.get(link, "status")));
  // A contract may revert with the same words.
  if (isOfPlan || !says(error, noFunds) || findRevert(undefined, error, []) !== undefined) return undefined;
  const balance = await getBalance(client, { address }).catch(() => undefined);
  // A ledger has addresses in lower case.
  return new InsufficientFundsError(
    getAddress(address),
    balance,
    neededWei ?? neededIn(chain.map(errorText).join(" ")),
  );
}

function neededIn(words: string): bigint | undefined {
  const [, wei] = /(?:\bwant|upfront cost is|tx cost)[: ]{1,3}(\d{1,30})\b/i.exec(words) ?? [];
  return wei === undefined ? undefined : BigInt(wei);
}

/** Gas of one of the transactions. */
type GasOf = (transaction: PricedTransaction) => bigint;

/** Prices of the same transactions, for any gas of each. */
interface Quotes {
  /** Of the latest block. */
  readonly baseFeePerGas: bigint;
  readonly expected: (gasOf: GasOf) => Price;
  readonly most: (gasOf: GasOf) => Price;
}

async function readQuotes(
  client: ChainClient,
  { transactions, fees: wanted, ...named }: EstimatePriceParameters,
): Promise<Quotes> {
  const [baseFeePerGas, fees, { l1Fees, operatorFeeOf }] = await Promise.all([
    readBaseFee(client),
    wanted ?? readFees(client, named),
    readRollupFees(client, { transactions }),
  ]);
  const { maxFeePerGas } = fees;
  const present = baseFeePerGas + fees.maxPriorityFeePerGas;
  const presentL1Fee = sum(l1Fees);
  const quote = (gasOf: GasOf, feePerGas: bigint, l1Fee: bigint): Price => {
    const gas = sum(transactions.map(gasOf));
    const executionFee = gas * feePerGas;
    const operatorFee = sum(transactions.map((transaction) => operatorFeeOf(gasOf(transaction))));
    return { gas, feePerGas, executionFee, l1Fee, operatorFee, total: executionFee + l1Fee + operatorFee };
  };
  return {
    baseFeePerGas,
    expected: (gasOf) => quote(gasOf, present < maxFeePerGas ? present : maxFeePerGas, presentL1Fee),
    most: (gasOf) => quote(gasOf, maxFeePerGas, 2n * presentL1Fee),
  };
}

function toEstimate({ length }: readonly PricedTransaction[], quotes: Quotes): PriceEstimate {
  return {
    transactions: length,
    baseFeePerGas: quotes.baseFeePerGas,
    expected: quotes.expected(({ gas, gasLimit }) => gas ?? gasLimit),
    most: quotes.most(({ gasLimit, gasCeiling = gasLimit }) => gasCeiling),
  };
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

/** The fields of a receipt that say what its transaction cost, as a node or a client library writes them. */
export interface CostFields {
  readonly gasUsed?: unknown;
  readonly effectiveGasPrice?: unknown;
}

/**
 * What a mined transaction cost, in wei: its gas, and on an OP stack chain the L1 data fee and the operator fee, which
 * receipts of other chains lack. Transactions of this package carry no blobs. The receipt is the endpoint's word. A
 * field that is absent or is no number counts as zero.
 *
 * @example
 * import { costOf } from "dstack-toolkit/chain";
 * import { receipt } from "./app.js";
 * console.log(`${costOf(receipt)} wei`);
 */
export function costOf(receipt: CostFields): bigint {
  const field = (name: string) => amountOf(Reflect.get(receipt, name));
  const gasUsed = field("gasUsed");
  const scalar = field("operatorFeeScalar");
  // Jovian receipts have this field and another unit of the scalar. Isthmus counts it per million gas.
  const isJovian = (Reflect.get(receipt, "daFootprintGasScalar") ?? null) !== null;
  const forGas = isJovian ? gasUsed * scalar * 100n : (gasUsed * scalar) / 1_000_000n;
  return gasUsed * field("effectiveGasPrice") + field("l1Fee") + forGas + field("operatorFeeConstant");
}

/** Client libraries leave fields that they do not know as the node wrote them. */
function amountOf(value: unknown): bigint {
  if (typeof value === "bigint") return value > 0n ? value : 0n;
  return typeof value === "string" && /^0x[0-9a-f]{1,64}$/i.test(value) ? BigInt(value) : 0n;
}
