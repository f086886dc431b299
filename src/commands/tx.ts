import { type Chain, checksumAddress, formatGwei } from "viem";
import { readChainIdentity } from "../chain/transactions/chain-identity.ts";
import { readBaseFee } from "../chain/transactions/fees.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type LedgerTransaction, lastAttempt } from "../chain/transactions/ledger-records.ts";
import { lookAtTransactions, type SeenTransaction } from "../chain/transactions/look-at-transactions.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { InvalidArgumentError, type LedgerError } from "../errors/index.ts";
import { explorerLink, formatTime } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { formatEth, formatGas } from "../output/price.ts";
import { describeTransaction, formatAge, formatState, hashOf, type SeenState } from "../output/transactions.ts";
import type { Command, CommandHost, ConnectedChain } from "./host.ts";
import { type OutputArguments, runTask, type TaskOutcome } from "./run.ts";
import { parseSending, type SendingArguments } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";

export interface TxListArguments extends OutputArguments, Pick<SendingArguments, "ledger"> {}

export const txList: Command<TxListArguments> = (args, host) => runTask(args, () => list(args, host));

/** So many transactions that have ended are listed. All open ones are. */
const recent = 20;

async function list(args: TxListArguments, host: CommandHost): Promise<TaskOutcome> {
  using ledger = await openTaskLedger(args, host, { isKept: false });
  const connected = await connectIfPossible(host);
  const damaged = new Map<number, LedgerError>();
  const onDamaged = (id: number, damage: LedgerError) => void damaged.set(id, damage);
  const open = ledger.transactions({ states: ["open"], onDamaged });
  const newest = ledger.transactions({ limit: recent + open.length, onDamaged });
  const ended = newest.filter(({ state }) => state !== "open").slice(-recent);
  const all = [...open, ...ended].toSorted((one, other) => one.id - other.id);
  const seen = await look(ledger, connected, { transactions: all });
  const chains = new Set(all.map(({ chain }) => chain)).size;
  const { network = null, chainId = null, baseFeePerGas = null } = connected ?? {};
  return {
    result: {
      ...{ network, chainId, baseFeePerGas },
      transactions: seen.map((one) => describeSeen(one, connected)),
      damaged: [...damaged].map(([id, { message }]) => ({ id, problem: message })),
    },
    exitCode: [...damaged.values()][0]?.exitCode,
    show: (output) => {
      if (seen.length === 0 && damaged.size === 0) return output.line("The ledger holds no transaction.");
      if (connected !== undefined)
        output.line(
          `The base fee of ${connected.network}, chain ${connected.chainId}, is ${formatGwei(connected.baseFeePerGas)} gwei.`,
        );
      output.table({
        head: ["id", "state", "for", "does", "chain", "signer", "nonce", "at most, gwei", "age", "transaction"],
        rows: seen.map((one) => rowOf(one, connected)),
      });
      if (connected === undefined || chains > 1)
        output.line("For the base fee and the present state on another chain, name it with --network.");
      for (const { message } of damaged.values()) output.line(`CAUTION: ${message}`);
      if (damaged.size > 0)
        output.line(
          "No task sends such a record. If it is open, no task of its signer sends anything with this ledger.",
        );
    },
  };
}

function rowOf({ transaction, isNonceUsed }: SeenTransaction, connected: Connected | undefined): readonly string[] {
  const { id, purpose, functionName, chainId, from, nonce, createdAt } = transaction;
  return [
    ...[`${id}`, formatState(transaction, seenState(transaction, isNonceUsed, connected))],
    ...[purpose.kind, functionName, `${chainId}`, checksumAddress(from), `${nonce}`],
    ...[formatGwei(lastAttempt(transaction).maxFeePerGas), formatAge(createdAt)],
    linkOf(transaction, connected) ?? hashOf(transaction) ?? "hash not known",
  ];
}

export interface TxShowArguments extends OutputArguments, Pick<SendingArguments, "ledger" | "transactionHash"> {
  /** Its id in the ledger, or the hash of one of its attempts. */
  readonly transaction: string;
}

export const txShow: Command<TxShowArguments> = (args, host) => runTask(args, () => show(args, host));

async function show(args: TxShowArguments, host: CommandHost): Promise<TaskOutcome> {
  const { transactionHash } = parseSending(args, host.settings);
  using ledger = await openTaskLedger(args, host, { isKept: false });
  const found = findTransaction(ledger, args.transaction);
  const connected = await connectIfPossible(host);
  const [seen = { transaction: found, isNonceUsed: false }] = await look(ledger, connected, {
    transactions: [found],
    transactionHash,
  });
  return {
    result: describeSeen(seen, connected),
    show: (output) => showTransaction(output, seen, connected),
  };
}

export function showTransaction(
  output: Output,
  { transaction, isNonceUsed }: SeenTransaction,
  connected: Connected | undefined,
): void {
  const { id, purpose, functionName, calls, to, chainId, from, nonce, createdAt, attempts, proof } = transaction;
  const seen = seenState(transaction, isNonceUsed, connected);
  const rows: readonly (readonly [label: string, text: string | undefined])[] = [
    ["transaction", `${id}, ${functionName}`],
    ["state", formatState(transaction, seen)],
    ["for", [purpose.kind, purpose.cvm].filter((part) => part !== undefined).join(" of ")],
    ...calls.map((call) => ["call", `${call.description}, on ${checksumAddress(call.to)}`] as const),
    ["to", calls.length === 0 ? checksumAddress(to) : undefined],
    ["signer", checksumAddress(from)],
    ["chain", `${chainId}`],
    ["nonce", `${nonce}`],
    ["recorded", `${formatTime(createdAt.toISOString())} UTC, ${formatAge(createdAt)} ago`],
    ["base fee", seen.baseFeePerGas === undefined ? undefined : `${formatGwei(seen.baseFeePerGas)} gwei now`],
    ["mined", proof?.blockNumber === undefined ? undefined : `${proof.transactionHash}, block ${proof.blockNumber}`],
    ["taken by", transaction.state === "taken" ? proof?.transactionHash : undefined],
    [
      "cost",
      proof?.costWei === undefined ? undefined : `${formatGas(proof.gasUsed ?? 0n)}, ${formatEth(proof.costWei)}`,
    ],
    ["explorer", linkOf(transaction, connected)],
  ];
  for (const [label, text] of rows) if (text !== undefined) output.line(`${label.padEnd(12)} ${text}`);
  output.table({
    head: ["attempt", "at most, gwei", "priority fee, gwei", "gas", "sent", "hash"],
    rows: attempts.map(({ kind, maxFeePerGas, maxPriorityFeePerGas, gas, isSent, transactionHash }) => [
      ...[kind, formatGwei(maxFeePerGas), formatGwei(maxPriorityFeePerGas), `${gas}`],
      ...[isSent ? "yes" : "no", transactionHash ?? "not known"],
    ]),
  });
  if (isNonceUsed)
    output.line(
      "The endpoint does not show which transaction used the nonce. Look it up in a block explorer, and name it with --transaction-hash.",
    );
}

/** A chain that can be asked now. */
export interface Connected extends ConnectedChain {
  /** As the ledger names the chain. */
  readonly chain: string;
  readonly baseFeePerGas: bigint;
}

/** Connects the chain that the user named, else the default one if that is an endpoint. */
async function connectIfPossible(host: CommandHost): Promise<Connected | undefined> {
  const isPossible = host.namedNetwork !== undefined || host.hasDefaultEndpoint;
  return isPossible ? connect(host) : undefined;
}

export async function connect(host: CommandHost): Promise<Connected> {
  const connected = await host.connectChain();
  const { client, chainId } = connected;
  const [{ chain }, baseFeePerGas] = await Promise.all([readChainIdentity(client, chainId), readBaseFee(client)]);
  return { ...connected, chain, baseFeePerGas };
}

export interface LookParameters {
  readonly transactions: readonly LedgerTransaction[];
  readonly transactionHash?: TransactionHash | undefined;
}

/** What has become of transactions. Those of other chains are as the ledger knows them. */
export async function look(
  ledger: Ledger,
  connected: Connected | undefined,
  { transactions, transactionHash }: LookParameters,
): Promise<readonly SeenTransaction[]> {
  const here = transactions.filter(({ chain }) => chain === connected?.chain);
  const { client, chainId } = connected ?? {};
  const seen =
    client === undefined || chainId === undefined
      ? []
      : await lookAtTransactions(client, { ledger, chainId, transactions: here, transactionHash });
  const known = new Map(seen.map((one) => [one.transaction.id, one]));
  return transactions.map((transaction) => known.get(transaction.id) ?? { transaction, isNonceUsed: false });
}

/** @throws InvalidArgumentError, InvalidHexError, LedgerError */
export function findTransaction(ledger: Ledger, raw: string): LedgerTransaction {
  const isId = /^\d{1,12}$/.test(raw);
  const [found] = ledger.transactions(isId ? { id: Number(raw) } : { transactionHash: parseTransactionHash(raw) });
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`The ledger ${ledger.path} holds no transaction ${raw}.`, {
    nextStep: "dstack tx list shows the transactions and their ids. --ledger names another file.",
    context: { ledger: ledger.path, transaction: raw },
  });
}

export function describeSeen({ transaction, isNonceUsed }: SeenTransaction, connected: Connected | undefined) {
  const { baseFeePerGas = null } = seenState(transaction, isNonceUsed, connected);
  return {
    ...describeTransaction(transaction),
    ...{ isNonceUsed, baseFeePerGas, link: linkOf(transaction, connected) ?? null },
  };
}

function seenState({ chain }: LedgerTransaction, isNonceUsed: boolean, connected: Connected | undefined): SeenState {
  return { isNonceUsed, baseFeePerGas: chain === connected?.chain ? connected.baseFeePerGas : undefined };
}

function linkOf(transaction: LedgerTransaction, connected: Connected | undefined): string | undefined {
  const isHere = transaction.chain === connected?.chain;
  const chain: Pick<Chain, "blockExplorers"> | undefined = isHere ? connected?.client.chain : undefined;
  const hash = hashOf(transaction);
  return hash && explorerLink(chain, "tx", hash);
}
