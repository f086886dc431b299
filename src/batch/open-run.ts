import type { Account, Address } from "viem";
import { parseAccount } from "viem/accounts";
import { type ChainClient, parseAddress, requireSigningChain } from "../chain/client.ts";
import type { WriteParameters } from "../chain/transactions/broadcast.ts";
import { type BatchJournal, memoryBatchJournal } from "../chain/transactions/journal.ts";
import { transactionGasCeiling } from "../core/order-calls.ts";
import type { PolicyCall } from "../core/owner-calls.ts";
import { SignerRequiredError } from "../errors/index.ts";
import type { BatchEvent } from "./batch-event.ts";
import { BatchRun } from "./batch-run.ts";

/** What everything takes that pays for a batch or around one. */
export interface BatchParameters extends Pick<WriteParameters, "account" | "chainId" | "beforeSend"> {
  /** Remembers what was signed across crashes: openBatchJournal. By default it is remembered in memory. */
  readonly journal?: BatchJournal | undefined;
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
  /** Stops between two transactions. What is sent stays sent, and on record. */
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

/** @throws SignerRequiredError, InvalidHexError, WrongChainError, RpcUnavailableError */
export async function openRun(
  client: ChainClient,
  parameters: BatchParameters,
  { calls, purpose }: { readonly calls: readonly PolicyCall[]; readonly purpose: string },
): Promise<BatchRun> {
  const account = accountOf(parameters.account ?? client.account, purpose);
  const { chainId, journal, window, gasCeiling, ...rest } = parameters;
  return new BatchRun(
    {
      client,
      account,
      chainId: await requireSigningChain(client, { account, chainId }),
      journal: journal ?? memoryBatchJournal(),
      beforeSend: rest.beforeSend,
      onEvent: rest.onEvent,
      signal: rest.signal,
      window: window ?? 16,
      gasCeiling: gasCeiling ?? transactionGasCeiling,
      confirmations: rest.confirmations,
      timeoutMs: rest.timeoutMs,
      pollIntervalMs: rest.pollIntervalMs,
    },
    calls,
  );
}

function accountOf(account: Account | Address | undefined, purpose: string): Account {
  if (account === undefined) throw new SignerRequiredError([purpose]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}
