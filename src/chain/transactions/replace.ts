import { type Account, type Address, formatGwei, parseTransaction, type SignedAuthorization } from "viem";
import type { Hex } from "../../core/ids.ts";
import { undoDelegationGasCeiling } from "../../core/order-calls.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { type ChainClient, requireSigningChain } from "../client.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { broadcastRecorded } from "./broadcast.ts";
import { readChainIdentity } from "./chain-identity.ts";
import {
  highestReplacementTip,
  highestTipFor,
  type NamedFees,
  type ReadFeesReturnType,
  readBaseFee,
  readFees,
  requireOrdered,
} from "./fees.ts";
import { accountOf } from "./follow-context.ts";
import type { Ledger } from "./ledger.ts";
import { type LedgerTransaction, lastAttempt, preparedOf, type TransactionAttempt } from "./ledger-records.ts";
import { signTransaction } from "./prepare.ts";
import { type PricedTransaction, requireFunds } from "./price.ts";
import { estimateFor, withRoom } from "./simulate.ts";

export interface ReplaceTransactionParameters extends NamedFees {
  readonly ledger: Ledger;
  /** The account that signed the transaction. For a plain address, the node holds the key. @default the client's account */
  readonly account?: Account | Address | undefined;
  readonly chainId?: number | undefined;
  /** The nonce of an open transaction of the ledger. */
  readonly nonce: number;
}

/** What a replacement will be. Without named fees it pays what the node will take. */
export interface ReplacementPlan {
  readonly transaction: PricedTransaction;
  /** At least an eighth more than before; by default also twice the base fee and the tip. */
  readonly fees: ReadFeesReturnType;
  /** The lowest price per gas that the node will take and that is above the base fee, in wei. */
  readonly leastFeePerGas: bigint;
}

export interface PlanReplacementParameters extends NamedFees {
  /** `cancel` spends the nonce on nothing. */
  readonly kind: TransactionAttempt["kind"];
  /** Whether the user has named a priority fee, so that one above 12 gwei may be raised without a new name. @default false */
  readonly mayRaiseNamed?: boolean | undefined;
}

/**
 * Plans the replacement of an open transaction, and signs nothing.
 *
 * @throws InvalidArgumentError if a named price is too low, or a priority fee must be named
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function planReplacement(
  client: ChainClient,
  open: LedgerTransaction,
  { kind, ...named }: PlanReplacementParameters,
): Promise<ReplacementPlan> {
  const { to, data } = preparedOf(open, { ...lastCall(open), kind });
  const [gasLimit, fees] = await Promise.all([
    kind === "cancel" ? readGasOfNothing(client, open.from) : lastCall(open).gas,
    readHigherFees(client, open, named),
  ]);
  const authorizes = kind === "call" && open.authorizes;
  return { transaction: { to, data, gasLimit, authorizes }, ...fees };
}

/** The last attempt may be a cancellation, which has other gas and no authorisation. */
function lastCall(transaction: LedgerTransaction): TransactionAttempt {
  const attempts = transaction.attempts.filter(({ kind }) => kind === "call");
  return lastAttempt({ attempts });
}

/**
 * Sends an open transaction of the ledger once more, with the same nonce and the same calls, for a price that nodes take
 * and that is above the base fee. At most one of the two can be mined. Does not wait.
 *
 * @throws InvalidArgumentError if no open transaction has the nonce, or a named price is too low
 * @throws SignerRequiredError, WrongChainError, ImplausibleAnswerError, InsufficientFundsError, NonceTakenError,
 * TransactionUnderpricedError, RpcUnavailableError, LedgerError
 *
 * @example
 * import { replaceTransaction } from "dstack-toolkit";
 * import { client, ledger } from "./app.js";
 * for (const { nonce } of ledger.transactions({ states: ["open"] })) {
 *   await replaceTransaction(client, { ledger, nonce });
 * }
 */
export function replaceTransaction(
  client: ChainClient,
  parameters: ReplaceTransactionParameters,
): Promise<LedgerTransaction> {
  return sendOther(client, parameters, "call");
}

/**
 * Uses the nonce of an open transaction of the ledger for an empty call of the account to itself. If that is mined
 * first, the transaction is not. Does not wait.
 *
 * @throws the errors of replaceTransaction
 *
 * @example
 * import { cancelTransaction } from "dstack-toolkit";
 * import { client, ledger } from "./app.js";
 * const { attempts } = await cancelTransaction(client, { ledger, nonce: 7 });
 * console.log(attempts.at(-1)?.transactionHash);
 */
export function cancelTransaction(
  client: ChainClient,
  parameters: ReplaceTransactionParameters,
): Promise<LedgerTransaction> {
  return sendOther(client, parameters, "cancel");
}

async function sendOther(
  client: ChainClient,
  parameters: ReplaceTransactionParameters,
  kind: TransactionAttempt["kind"],
): Promise<LedgerTransaction> {
  const { ledger, nonce } = parameters;
  const account = accountOf(parameters.account ?? client.account, "the replacement");
  const chainId = await requireSigningChain(client, { account, chainId: parameters.chainId });
  const { chain } = await readChainIdentity(client, chainId);
  const [open] = ledger.transactions({ chain, signer: account.address, nonce, states: ["open"] });
  if (open === undefined)
    throw new InvalidArgumentError(`The ledger holds no open transaction of ${account.address} with nonce ${nonce}.`, {
      nextStep: "Look which transactions are open. One that is mined can be neither replaced nor cancelled.",
    });
  const call = lastCall(open);
  const { rawTransaction: _, transactionHash: __, from, ...fields } = preparedOf(open, { ...call, kind });
  const { transaction, fees } = await planReplacement(client, open, { ...parameters, kind });
  const mostTip = highestTipFor(account, parameters, highestReplacementTip);
  await requireFunds(client, { address: from, transactions: [transaction], fees });
  const prepared = await signTransaction(client, {
    ...{ account, mostTip },
    transaction: { ...fields, gas: transaction.gasLimit, ...fees },
    authorization: transaction.authorizes ? authorizationOf(call.rawTransaction) : undefined,
  });
  return broadcastRecorded({ client, ledger }, ledger.addAttempt(open.id, kind, prepared));
}

/** More than 21,000 where the account delegates: the delegate's code then runs. */
async function readGasOfNothing(client: ChainClient, address: Address): Promise<bigint> {
  const functionName = "an empty call";
  const estimate = await withRpcErrors(client, `estimating ${functionName}`, () =>
    estimateFor(client, { from: address, to: address }),
  );
  return withRoom(estimate, { ceiling: undoDelegationGasCeiling, functionName });
}

/** The authorisation uses the next nonce, so the same one is valid again. */
function authorizationOf(rawTransaction: Hex | undefined): SignedAuthorization | undefined {
  const signed = rawTransaction && parseTransaction(rawTransaction as `0x04${string}`); // its record was checked
  return signed ? (signed.authorizationList?.[0] as SignedAuthorization) : undefined;
}

/** Nodes take a replacement only if both prices are at least a tenth higher; some ask for an eighth. */
function raised(wei: bigint): bigint {
  return wei + (wei + 7n) / 8n;
}

async function readHigherFees(
  client: ChainClient,
  { attempts }: LedgerTransaction,
  { mayRaiseNamed = false, ...named }: Omit<PlanReplacementParameters, "kind">,
): Promise<Pick<ReplacementPlan, "fees" | "leastFeePerGas">> {
  requireOrdered(named);
  const [fees, baseFeePerGas] = await Promise.all([readFees(client), readBaseFee(client)]);
  const highest = (name: keyof ReadFeesReturnType) =>
    attempts.reduce((most, attempt) => larger(attempt[name], most), 0n);
  const leastTip = raised(highest("maxPriorityFeePerGas"));
  const maxPriorityFeePerGas = named.maxPriorityFeePerGas ?? larger(leastTip, fees.maxPriorityFeePerGas);
  const leastFeePerGas = larger(raised(highest("maxFeePerGas")), baseFeePerGas + maxPriorityFeePerGas);
  const maxFeePerGas = named.maxFeePerGas ?? larger(leastFeePerGas, 2n * baseFeePerGas + maxPriorityFeePerGas);
  const isNamed = mayRaiseNamed || named.maxPriorityFeePerGas !== undefined;
  if (!isNamed && leastTip > highestReplacementTip) throw unnamedTip(leastTip);
  requireAtLeast("maxPriorityFeePerGas", maxPriorityFeePerGas, leastTip);
  requireAtLeast("maxFeePerGas", maxFeePerGas, leastFeePerGas);
  return { fees: { maxFeePerGas, maxPriorityFeePerGas }, leastFeePerGas };
}

const words = {
  maxPriorityFeePerGas: ["priority fee", "Name more with `maxPriorityFeePerGas`, or leave it out."],
  maxFeePerGas: ["highest fee per gas", "Name more with `maxFeePerGas`, or leave it out."],
} as const;

function requireAtLeast(name: keyof typeof words, named: bigint, least: bigint): void {
  if (named >= least) return;
  const [what, nextStep] = words[name];
  throw new InvalidArgumentError(
    `The ${what} of a replacement must be at least ${formatGwei(least)} gwei, and ${formatGwei(named)} gwei was named.`,
    {
      nextStep: `Nothing was sent. ${nextStep}`,
      context: { what, named: `${named}`, least: `${least}` },
    },
  );
}

/** Without a limit, an endpoint that never shows a transaction as mined could raise the tip again and again. */
function unnamedTip(least: bigint): InvalidArgumentError {
  const [needed, most] = [formatGwei(least), formatGwei(highestReplacementTip)];
  return new InvalidArgumentError(
    `Nodes take a replacement only with a priority fee of at least ${needed} gwei, and no more than ${most} gwei is chosen unless you name it.`,
    {
      nextStep: `Nothing was sent. Name ${needed} gwei or more with \`maxPriorityFeePerGas\`.`,
      context: { least: `${least}`, most: `${highestReplacementTip}` },
    },
  );
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
