import { type Account, formatGwei, parseGwei } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type FinalityTag, finalityTags } from "../chain/transactions/chain-identity.ts";
import { type NamedFees, requireOrdered } from "../chain/transactions/fees.ts";
import type { SenderEvent } from "../chain/transactions/follow-context.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type LedgerTransaction, lastAttempt } from "../chain/transactions/ledger-records.ts";
import { cancelTransaction, planReplacement, replaceTransaction } from "../chain/transactions/replace.ts";
import type { SenderParameters } from "../chain/transactions/sender-parameters.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { InsufficientFundsError, InvalidArgumentError, NonceTakenError } from "../errors/index.ts";
import { showSenderEvent } from "../output/transactions.ts";
import type { DstackConfig } from "./host.ts";
import type { TaskIo } from "./run.ts";

/** Options of every task that sends. */
export interface SendingArguments {
  /** File of the ledger. */
  readonly ledger?: string | undefined;
  /** Highest price per gas, in gwei. */
  readonly maxFee?: string | undefined;
  /** Part of it for the block builder, in gwei. */
  readonly priorityFee?: string | undefined;
  /** The stage that counts as done. */
  readonly until?: string | undefined;
  /** Highest price per gas of a replacement that is sent without asking, in gwei. */
  readonly replace?: string | undefined;
  /** The mined transaction that used the nonce of a recorded one. */
  readonly transactionHash?: string | undefined;
}

/** What the user chose for the transactions of one task. */
export interface SendingChoices extends NamedFees {
  /** Undefined for the chain's default. */
  readonly until: FinalityTag | undefined;
  /** Highest price per gas of a replacement that needs no question, in wei. Undefined if every one needs it. */
  readonly replaceUpTo: bigint | undefined;
  readonly transactionHash: TransactionHash | undefined;
}

/** @throws InvalidArgumentError, InvalidHexError */
export function parseSending(
  { maxFee, priorityFee, until, replace, transactionHash }: SendingArguments,
  { finality }: Pick<DstackConfig, "finality">,
): SendingChoices {
  const fees = {
    maxFeePerGas: parseFee("--max-fee", maxFee),
    maxPriorityFeePerGas: parseFee("--priority-fee", priorityFee),
  };
  requireOrdered(fees);
  return {
    ...fees,
    until: until === undefined ? finality : parseUntil(until),
    replaceUpTo: parseFee("--replace", replace),
    transactionHash: transactionHash === undefined ? undefined : parseTransactionHash(transactionHash),
  };
}

/** No base fee was ever so high. A higher number was meant as wei. */
const highestGwei = 10_000;

function parseFee(option: string, raw: string | undefined): bigint | undefined {
  if (raw === undefined) return undefined;
  const digits = raw.trim();
  if (/^\d{1,12}(?:\.\d{1,9})?$/.test(digits) && Number(digits) <= highestGwei) return parseGwei(digits);
  throw new InvalidArgumentError(`${option} must be a price in gwei, got "${raw.slice(0, 20)}".`, {
    nextStep: `Give a number up to ${highestGwei} with at most nine decimals, as in ${option} 1.5.`,
  });
}

function parseUntil(raw: string): FinalityTag {
  const tag = finalityTags.find((tag) => tag === raw);
  if (tag !== undefined) return tag;
  throw new InvalidArgumentError(`--until must be ${finalityTags.join(", ")}, got "${raw.slice(0, 20)}".`, {
    nextStep: "latest: a block holds the transaction. safe and finalized: it stays, by the rules of the chain.",
  });
}

export interface CreateSendingParameters {
  readonly choices: SendingChoices;
  readonly ledger: Ledger;
  /** The account that pays. Undefined if there is no key. */
  readonly account: Account | undefined;
}

/** The parameters of every action that sends which follow from the user's choices. */
export type Sending = NamedFees & Pick<SenderParameters, "until" | "transactionHash" | "onUnderpriced" | "signal">;

/**
 * Makes the user's choices to parameters of the action that sends. If the base fee rises above a transaction's price, the
 * task says so, and offers to replace the transaction: it asks on a terminal, and replaces without asking up to the
 * price that the user named.
 */
export function createSending(
  io: Pick<TaskIo, "output" | "ask" | "signal">,
  { client }: { readonly client: ChainClient | undefined },
  { choices, ledger, account }: CreateSendingParameters,
): Sending {
  const { output, signal } = io;
  const { replaceUpTo, ...parameters } = choices;
  /** Attempts whose price the user was told about. */
  const told = new Set<number>();
  let ceiling = replaceUpTo;
  let mayAsk = io.ask !== undefined;

  async function offer(transaction: LedgerTransaction, baseFeePerGas: bigint): Promise<boolean> {
    const { id, nonce, chainId } = transaction;
    const attempt = lastAttempt(transaction);
    if (transaction.state !== "open" || attempt.maxFeePerGas >= baseFeePerGas) return true;
    const isNews = !told.has(attempt.id);
    const tell = (text: string) => isNews && output.detail("", text);
    told.add(attempt.id);
    tell(
      `nonce ${nonce} pays at most ${formatGwei(attempt.maxFeePerGas)} gwei per gas, and the base fee is ${formatGwei(baseFeePerGas)} gwei: it waits`,
    );
    const isKeyHere = account?.type === "local" || attempt.rawTransaction === undefined;
    const isSigner = account?.address.toLowerCase() === transaction.from;
    if (client === undefined || account === undefined || !isKeyHere || !isSigner) {
      tell("a replacement needs the key that signed it");
      return false;
    }
    const { kind } = attempt;
    const mayRaiseNamed = choices.maxPriorityFeePerGas !== undefined;
    const plan = await planReplacement(client, transaction, { kind, mayRaiseNamed }).catch((error: unknown) => {
      if (!(error instanceof InvalidArgumentError)) throw error;
      tell(`${error.message} Name it: dstack tx replace ${id} --priority-fee`);
    });
    if (plan === undefined) return false;
    const { fees, leastFeePerGas } = plan;
    if (ceiling === undefined || leastFeePerGas > ceiling) {
      const least = formatGwei(leastFeePerGas);
      if (!mayAsk) {
        const why = ceiling === undefined ? "" : `, and --replace allows ${formatGwei(ceiling)} gwei`;
        tell(`a replacement needs at least ${least} gwei per gas${why}: dstack tx replace ${id}, or --replace`);
        return false;
      }
      const most = formatGwei(fees.maxFeePerGas);
      mayAsk = await agrees(`Replace it, and others of this run, for at most ${most} gwei per gas?`);
      if (!mayAsk || signal.aborted) return false;
      ceiling = fees.maxFeePerGas;
    }
    const maxFeePerGas = fees.maxFeePerGas < ceiling ? fees.maxFeePerGas : ceiling;
    // A replacement must raise the tip that the user named.
    const tip = choices.maxPriorityFeePerGas && fees.maxPriorityFeePerGas;
    const send = kind === "cancel" ? cancelTransaction : replaceTransaction;
    try {
      await send(client, { ledger, account, chainId, nonce, maxFeePerGas, maxPriorityFeePerGas: tip });
    } catch (error) {
      // It was mined meanwhile, or the fees rose again. The next look finds that.
      if (error instanceof NonceTakenError || error instanceof InvalidArgumentError) return false;
      if (!(error instanceof InsufficientFundsError)) throw error;
      tell(error.message);
      return false;
    }
    output.detail("replaced", `nonce ${nonce} now pays at most ${formatGwei(maxFeePerGas)} gwei per gas`);
    return true;
  }

  /** A question that is stopped has the answer no: something was sent already, and it is waited for. */
  async function agrees(question: string): Promise<boolean> {
    return (await io.ask?.(question).catch(() => false)) ?? false;
  }

  /** Several transactions wait at the same time, and there is one terminal. */
  let last: Promise<unknown> = Promise.resolve();
  const onUnderpriced = (transaction: LedgerTransaction, baseFeePerGas: bigint) => {
    const offered = last.then(() => offer(ledger.transaction(transaction.id), baseFeePerGas));
    last = offered.catch(() => undefined);
    return offered;
  };
  return { ...parameters, signal, onUnderpriced };
}

/** Prints what happens to transactions. The offer to replace one says itself that the base fee is above its price. */
export function showEvents({ output }: Pick<TaskIo, "output">): (event: SenderEvent) => void {
  return (event) => {
    if (event.kind !== "underpriced") showSenderEvent(output, event);
  };
}
