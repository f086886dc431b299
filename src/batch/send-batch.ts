import type { Account, Address } from "viem";
import { parseAccount } from "viem/accounts";
import type { ChainClient } from "../chain/chain-client.ts";
import { parseAddress } from "../chain/parse-address.ts";
import { requireChain } from "../chain/require-chain.ts";
import type { WriteParameters } from "../chain/send-contract-call.ts";
import { transactionGasCeiling } from "../core/batch/chunk-calls.ts";
import { orderCalls } from "../core/batch/order-calls.ts";
import type { PolicyCall } from "../core/batch/policy-call.ts";
import { SignerRequiredError } from "../errors/index.ts";
import type { BatchEvent } from "./batch-event.ts";
import { type BatchJournal, memoryBatchJournal } from "./batch-journal.ts";
import type { BatchMode, BatchResult } from "./batch-result.ts";
import { BatchRun } from "./batch-run.ts";
import { requireEffect } from "./require-effect.ts";
import { sendOneByOne } from "./send-one-by-one.ts";
import { settleJournal } from "./settle-journal.ts";

export interface SendBatchParameters extends Pick<WriteParameters, "account" | "chainId" | "beforeSend"> {
  readonly calls: readonly PolicyCall[];
  /**
   * `none`: one transaction per call. `7702`: one for all, through the batch executor (EIP-7702). `auto`, the
   * default, takes the second where it is possible and worth it.
   */
  readonly mode?: BatchMode | "auto" | undefined;
  /** Remembers what was signed across crashes: openBatchJournal. By default it is remembered in memory. */
  readonly journal?: BatchJournal | undefined;
  /** Sends calls that change nothing too. */
  readonly allowNoEffect?: boolean | undefined;
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
  /** Stops the batch between two transactions. What is sent stays sent, and on record. */
  readonly signal?: AbortSignal | undefined;
  /** Transactions under way at once. @default 16, what every node keeps for one account */
  readonly window?: number | undefined;
  /** Most gas a transaction may ask for. @default 16,777,216 (EIP-7825) */
  readonly gasCeiling?: bigint | undefined;
  /** Blocks that must hold a transaction or follow it. @default 1 */
  readonly confirmations?: number | undefined;
  /** How long to wait for each receipt. @default 120,000 ms */
  readonly timeoutMs?: number | undefined;
  /** @default the client's polling interval, in ms */
  readonly pollIntervalMs?: number | undefined;
}

/**
 * Carries out calls of an owner, in a safe order, in as few transactions as the mode allows. Returns when every
 * transaction is mined and every call's event was seen. Nothing is sent unless all of it would pass.
 *
 * @throws InvalidArgumentError if calls contradict each other
 * @throws NoEffectError for calls that change nothing
 * @throws ContractOwnerError if the owner is a Safe or another contract: see buildSafeBatch
 * @throws BatchStoppedError once something was sent and the rest could not be
 * @throws ForeignDelegationError, DelegationUnsupportedError, ExecutorMismatchError in mode `7702`
 * @throws SignerRequiredError, WrongChainError, NoContractError, NotOwnerError, ContractRevertedError,
 * InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function sendBatch(client: ChainClient, parameters: SendBatchParameters): Promise<BatchResult> {
  const calls = orderCalls(parameters.calls);
  const account = accountOf(parameters.account ?? client.account, calls);
  const run = new BatchRun(
    {
      client,
      account,
      chainId: await requireChain(client, parameters.chainId),
      journal: parameters.journal ?? memoryBatchJournal(),
      beforeSend: parameters.beforeSend,
      onEvent: parameters.onEvent,
      signal: parameters.signal,
      window: parameters.window ?? 16,
      gasCeiling: parameters.gasCeiling ?? transactionGasCeiling,
      confirmations: parameters.confirmations,
      timeoutMs: parameters.timeoutMs,
      pollIntervalMs: parameters.pollIntervalMs,
    },
    calls,
  );
  const mode: BatchMode = "none";
  const reason = "one transaction per call was asked for";
  try {
    await settleJournal(run);
    if (parameters.allowNoEffect !== true) await requireEffect(client, run.left);
    parameters.onEvent?.({ kind: "chosen", mode, reason });
    await sendOneByOne(run);
  } catch (error) {
    throw run.stopped(error, mode, reason);
  }
  return run.result(mode, reason);
}

function accountOf(account: Account | Address | undefined, calls: readonly PolicyCall[]): Account {
  if (account === undefined) throw new SignerRequiredError([...new Set(calls.map((call) => call.functionName))]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}
