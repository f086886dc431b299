import { type Address, isAddressEqual, zeroAddress } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readDelegation } from "../chain/code.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { signDelegation } from "../chain/transactions/prepare.ts";
import { estimateFor, withRoom } from "../chain/transactions/simulate.ts";
import { batchExecutorAddress, isEarlierBatchExecutor } from "../core/batch-executor.ts";
import { undoDelegationGasCeiling } from "../core/order-calls.ts";
import { DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import { type BatchParameters, type BatchTransaction, openRun } from "./run.ts";

/** Enough on every chain with Ethereum's gas costs: 21,000 and 25,000 for the authorisation. */
const leastGas = 60_000n;

export interface UndoDelegationParameters extends Omit<BatchParameters, "window" | "gasCeiling" | "purpose"> {
  /**
   * The current delegate. Required to end a delegation to another address. @default the batch executor's own
   * address, or that of an earlier version
   */
  readonly delegate?: Address | undefined;
}

export interface UndoDelegationReturnType {
  /** What the account delegated to. */
  readonly previous: Address;
  readonly transaction: BatchTransaction;
}

/**
 * Ends an account's delegation, so that the account has no code again. If it does not delegate, returns undefined and
 * sends nothing of its own; recorded transactions of earlier runs are completed first.
 *
 * @throws ForeignDelegationError if the account delegates to another address than the named one
 * @throws DelegationUnsupportedError, SignerRequiredError, WrongChainError, ImplausibleAnswerError,
 * InsufficientFundsError, TransactionRevertedError, ReceiptTimeoutError, RpcUnavailableError
 *
 * @example
 * import { undoDelegation } from "dstack-toolkit/batch";
 * import { client } from "./app.js";
 * await undoDelegation(client, {});
 */
export async function undoDelegation(
  client: ChainClient,
  parameters: UndoDelegationParameters,
): Promise<UndoDelegationReturnType | undefined> {
  try {
    return await undo(client, parameters);
  } catch (error) {
    if (!(error instanceof DelegationUnsupportedError)) throw error;
    throw new DelegationUnsupportedError(error.reason, { cause: error.cause, purpose: "undo" });
  }
}

async function undo(
  client: ChainClient,
  { delegate, ...parameters }: UndoDelegationParameters,
): Promise<UndoDelegationReturnType | undefined> {
  const functionName = "the end of the delegation";
  using run = await openRun(
    client,
    { ...parameters, purpose: { kind: "undo-delegation" } },
    { calls: [], title: functionName },
  );
  const { sender } = run;
  await sender.resume();
  const { address } = run.account;
  const delegation = await readDelegation(client, { address });
  if (delegation.kind !== "delegated") {
    await sender.finish();
    sender.complete();
    return undefined;
  }
  const mayEnd =
    isAddressEqual(delegation.to, delegate ?? batchExecutorAddress) ||
    (delegate === undefined && isEarlierBatchExecutor(delegation.to));
  if (!mayEnd) {
    throw new ForeignDelegationError(address, delegation.to);
  }

  const authorize = (transactionNonce: number) => signDelegation(run, { to: zeroAddress, transactionNonce });
  const authorization = await authorize(await sender.readNextNonce());
  const estimate = await withRpcErrors(client, `estimating ${functionName}`, () =>
    estimateFor(client, { from: address, to: address, authorizationList: [authorization] }),
  );
  const gas = withRoom(estimate, { ceiling: undoDelegationGasCeiling, functionName });
  await sender.send([
    { to: address, data: "0x", gas: gas < leastGas ? leastGas : gas, functionName, calls: [], authorize },
  ]);
  await sender.finish();
  if ((await readDelegation(client, { address })).kind !== "none") {
    throw new DelegationUnsupportedError("the transaction was mined, but the account still delegates");
  }
  sender.complete();
  const transaction = run.result("7702", functionName).transactions.at(-1);
  if (transaction === undefined) throw new TypeError("The transaction was waited for.");
  return { previous: delegation.to, transaction };
}
