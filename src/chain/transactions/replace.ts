import { type Account, type Address, parseTransaction, type SignedAuthorization } from "viem";
import { parseAccount } from "viem/accounts";
import { estimateGas } from "viem/actions";
import type { Hex } from "../../core/ids.ts";
import { undoDelegationGasCeiling } from "../../core/order-calls.ts";
import { InvalidArgumentError, SignerRequiredError } from "../../errors/index.ts";
import { type ChainClient, parseAddress, requireSigningChain } from "../client.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { broadcastTransaction } from "./broadcast.ts";
import { readChainIdentity } from "./chain-identity.ts";
import { highestReplacementTip, readBaseFee, readFees } from "./fees.ts";
import type { Ledger } from "./ledger.ts";
import { type LedgerTransaction, lastAttempt, preparedOf, type TransactionAttempt } from "./ledger-records.ts";
import { signTransaction } from "./prepare.ts";
import { requireFunds } from "./price.ts";
import { withRoom } from "./simulate.ts";

export interface ReplaceTransactionParameters {
  readonly ledger: Ledger;
  /** The account that signed the transaction. For a plain address, the node holds the key. @default the client's account */
  readonly account?: Account | Address | undefined;
  readonly chainId?: number | undefined;
  /** The nonce of an open transaction of the ledger. */
  readonly nonce: number;
  /** Highest price per gas, in wei. @default what the node will take: at least an eighth more, and twice the base fee */
  readonly maxFeePerGas?: bigint | undefined;
  /** Part of it for the block builder, in wei per gas. @default at least an eighth more than before */
  readonly maxPriorityFeePerGas?: bigint | undefined;
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
  const account = accountOf(parameters.account ?? client.account);
  const chainId = await requireSigningChain(client, { account, chainId: parameters.chainId });
  const { chain } = await readChainIdentity(client, chainId);
  const [open] = ledger.transactions({ chain, signer: account.address, nonce, states: ["open"] });
  if (open === undefined)
    throw new InvalidArgumentError(`The ledger holds no open transaction of ${account.address} with nonce ${nonce}.`, {
      nextStep: "Look which transactions are open. One that is mined can be neither replaced nor cancelled.",
    });
  const last = lastAttempt(open);
  const { from, functionName, ...call } = preparedOf(open, { ...last, kind });
  const gas = kind === "cancel" ? await readGasOfNothing(client, from) : last.gas;
  const fees = await readHigherFees(client, open, parameters);
  await requireFunds(client, { address: from, transactions: [{ ...call, gasLimit: gas }], fees });
  const { rawTransaction: _, transactionHash: __, ...fields } = call;
  const prepared = await signTransaction(client, {
    account,
    transaction: { ...fields, functionName, gas, ...fees },
    authorization: kind === "call" && open.authorizes ? authorizationOf(last.rawTransaction) : undefined,
    mostTip: highestReplacementTip,
  });
  const attempt = lastAttempt(ledger.addAttempt(open.id, kind, prepared));
  const hash = await broadcastTransaction(client, prepared);
  return ledger.markSent(open.id, attempt.id, hash);
}

function accountOf(account: Account | Address | undefined): Account {
  if (account === undefined) throw new SignerRequiredError(["the replacement"]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}

/** More than 21,000 where the account delegates: the delegate's code then runs. */
async function readGasOfNothing(client: ChainClient, address: Address): Promise<bigint> {
  const functionName = "an empty call";
  const estimate = await withRpcErrors(client, `estimating ${functionName}`, () =>
    estimateGas(client, { account: address, to: address }),
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
  wanted: Pick<ReplaceTransactionParameters, "maxFeePerGas" | "maxPriorityFeePerGas">,
) {
  const [fees, baseFeePerGas] = await Promise.all([readFees(client), readBaseFee(client)]);
  const highest = (name: "maxFeePerGas" | "maxPriorityFeePerGas") =>
    attempts.reduce((most, attempt) => (attempt[name] > most ? attempt[name] : most), 0n);
  const leastTip = raised(highest("maxPriorityFeePerGas"));
  const maxPriorityFeePerGas = wanted.maxPriorityFeePerGas ?? larger(leastTip, fees.maxPriorityFeePerGas);
  const least = larger(raised(highest("maxFeePerGas")), baseFeePerGas + maxPriorityFeePerGas);
  const maxFeePerGas = wanted.maxFeePerGas ?? larger(least, fees.maxFeePerGas);
  for (const [what, value, most] of [
    ["maxPriorityFeePerGas", maxPriorityFeePerGas, leastTip],
    ["maxFeePerGas", maxFeePerGas, least],
  ] as const) {
    if (value < most)
      throw new InvalidArgumentError(`${what} is ${value} wei per gas, and a replacement needs at least ${most}.`, {
        nextStep: "Nothing was sent. Give more, or leave it out.",
        context: { what, value: `${value}`, least: `${most}` },
      });
  }
  return { maxFeePerGas, maxPriorityFeePerGas };
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
