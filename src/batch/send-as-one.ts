import type { Address, SignedAuthorization } from "viem";
import { decodeErrorResult } from "viem";
import { estimateGas } from "viem/actions";
import { batchExecutorAbi } from "../abi/index.ts";
import { findRevert } from "../chain/find-revert.ts";
import { requireCode } from "../chain/require-code.ts";
import { explainRevert } from "../chain/simulate-call.ts";
import { translateChainError } from "../chain/translate-chain-error.ts";
import { encodeExecute } from "../core/batch/batch-executor.ts";
import { chunkCalls } from "../core/batch/chunk-calls.ts";
import { abiOf, type PolicyCall } from "../core/batch/policy-call.ts";
import type { Hex } from "../core/hex.ts";
import { ContractRevertedError, DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";
import { readDelegation } from "./read-delegation.ts";
import { readIsExecutor } from "./read-executor.ts";
import { readNextNonce, sendTransactions } from "./send-transactions.ts";
import { signDelegation } from "./sign-delegation.ts";

/** Least gas a call of a batch can cost, whatever it does: a touch of cold storage and an event. */
const leastPerCall = 3_000n;
const leastOfAll = 21_000n;

/**
 * All calls in one transaction of the account to itself, by the executor's code; in several, one after the other,
 * only where the gas limit of a transaction forces it. The first carries the authorisation if the account does not
 * delegate yet.
 *
 * @param executor verified to be the executor's code
 */
export async function sendAsOne(run: BatchRun, executor: Address): Promise<void> {
  const { client } = run.settings;
  for (const address of new Set(run.left.map(({ to }) => to))) await requireCode(client, { address });
  for (const chunk of chunkCalls(run.left, { ceiling: run.settings.gasCeiling })) await sendChunk(run, executor, chunk);
}

async function sendChunk(run: BatchRun, executor: Address, calls: readonly PolicyCall[]): Promise<void> {
  const { account, gasCeiling } = run.settings;
  const isDelegated = await isDelegatedTo(run);
  const authorize = (nonce: number) => signDelegation(run, { to: executor, transactionNonce: nonce });
  const authorization = isDelegated ? undefined : await authorize(await readNextNonce(run));
  const data = encodeExecute(calls);
  const estimate = await estimateBatch(run, { calls, data, authorization });
  if (estimate > gasCeiling && calls.length > 1) {
    const middle = Math.ceil(calls.length / 2);
    await sendChunk(run, executor, calls.slice(0, middle));
    return sendChunk(run, executor, calls.slice(middle));
  }
  const gas = (estimate * 6n) / 5n;
  await sendTransactions(run, [
    {
      to: account.address,
      data,
      gas: gas > gasCeiling ? gasCeiling : gas,
      functionName: `a batch of ${calls.length} calls`,
      calls,
      authorize: isDelegated ? undefined : authorize,
    },
  ]);
}

/** Looked at right before each transaction, so that nobody's delegation is replaced. */
async function isDelegatedTo({ settings: { client, account } }: BatchRun): Promise<boolean> {
  const delegation = await readDelegation(client, { address: account.address });
  if (delegation.kind === "none") return false;
  if (delegation.kind === "contract") {
    throw new DelegationUnsupportedError(`${account.address} is a contract`);
  }
  const isOurs = await readIsExecutor(client, { address: delegation.to });
  if (!isOurs) throw new ForeignDelegationError(account.address, delegation.to);
  return true;
}

interface EstimateBatchParameters {
  readonly calls: readonly PolicyCall[];
  readonly data: Hex;
  readonly authorization: SignedAuthorization | undefined;
}

/** The whole batch on the node, as it will be sent: nothing leaves unless all of it passes. */
async function estimateBatch(run: BatchRun, { calls, data, authorization }: EstimateBatchParameters): Promise<bigint> {
  const { client, account } = run.settings;
  const from = account.address;
  let estimate: bigint;
  try {
    const authorizationList = authorization === undefined ? undefined : [authorization];
    estimate = await estimateGas(client, { account: from, to: from, data, authorizationList });
  } catch (error) {
    const revert = findRevert(error, batchExecutorAbi);
    if (revert === undefined) throw translateChainError(error, `estimating a batch of ${calls.length} calls`);
    throw await explainBatchRevert(run, calls, revert.data, revert.reason);
  }
  // An endpoint that leaves the authorisation out estimates a call of an account without code, which does nothing.
  if (estimate < leastOfAll + leastPerCall * BigInt(calls.length)) {
    throw new DelegationUnsupportedError("the endpoint estimates as if the account could not delegate");
  }
  return estimate;
}

/** The error the refused call would have had alone. */
async function explainBatchRevert(
  run: BatchRun,
  calls: readonly PolicyCall[],
  data: Hex | undefined,
  reason: string | undefined,
): Promise<Error> {
  const { client, account } = run.settings;
  const failed = decodeFailure(data);
  const call = failed === undefined ? undefined : calls[failed.index];
  if (failed === undefined || call === undefined) {
    return new ContractRevertedError({ contract: account.address, functionName: "execute", reason });
  }
  const { to, functionName } = call;
  const revert = findRevert({ code: 3, data: failed.reason }, abiOf(call));
  return explainRevert(
    client,
    { from: account.address, to, functionName },
    revert ?? { data: undefined, reason: undefined, errorName: undefined },
  );
}

function decodeFailure(data: Hex | undefined): { readonly index: number; readonly reason: Hex } | undefined {
  if (data === undefined) return undefined;
  try {
    const { errorName, args } = decodeErrorResult({ abi: batchExecutorAbi, data });
    return errorName === "CallFailed" ? { index: Number(args[0]), reason: args[1] } : undefined;
  } catch {
    return undefined;
  }
}
