import { formatGwei, isAddressEqual } from "viem";
import { requireMined } from "../chain/transactions/finality.ts";
import { type LedgerTransaction, lastAttempt, type TransactionAttempt } from "../chain/transactions/ledger-records.ts";
import { settleTransaction } from "../chain/transactions/look-at-transactions.ts";
import { estimatePrice } from "../chain/transactions/price.ts";
import { isAtWork } from "../chain/transactions/process-owner.ts";
import { cancelTransaction, planReplacement, replaceTransaction } from "../chain/transactions/replace.ts";
import { proveCalls } from "../core/owner-calls.ts";
import { InvalidArgumentError, NonceTakenError, SignerRequiredError } from "../errors/index.ts";
import { formatFee, formatGas, showPrice } from "../output/price.ts";
import { type DryRunArguments, showDryRun } from "./batch-plan.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending, type SendingArguments, showEvents } from "./sending.ts";
import { signingOf } from "./signing.ts";
import { type Connected, connect, describeSeen, findTransaction, look, showTransaction } from "./tx.ts";
import { confirmUnsigned } from "./write.ts";

export interface TxReplaceArguments extends DryRunArguments, SendingArguments, OutputArguments {
  /** Its id in the ledger, or the hash of one of its attempts. */
  readonly transaction: string;
}

export const txReplace: Command<TxReplaceArguments> = (args, host) =>
  runTask(args, (io) => replace(args, host, io, "call"));

export const txCancel: Command<TxReplaceArguments> = (args, host) =>
  runTask(args, (io) => replace(args, host, io, "cancel"));

const words = {
  call: { purpose: "the replacement", send: replaceTransaction, question: "Replace it?" },
  cancel: {
    ...{ purpose: "the cancellation", send: cancelTransaction },
    question: "Cancel it? Its nonce is then spent on an empty transaction, unless it is mined first.",
  },
} as const;

async function replace(
  args: TxReplaceArguments,
  host: CommandHost,
  io: TaskIo,
  kind: TransactionAttempt["kind"],
): Promise<TaskOutcome> {
  const { purpose, send, question } = words[kind];
  const connected = await connect(host);
  const { client, chainId } = connected;
  const { choices, openLedger, signer } = signingOf(args, host, connected);
  const { maxFeePerGas, maxPriorityFeePerGas, transactionHash } = choices;
  using ledger = await openLedger({ isKept: false });
  const transaction = findTransaction(ledger, args.transaction);
  requireHere(transaction, connected);
  const [seen = { transaction, isNonceUsed: false }] = await look(ledger, connected, {
    transactions: [transaction],
    transactionHash,
  });
  requireReplaceable(seen.transaction, seen.isNonceUsed);
  showTransaction(io.output, seen, connected);
  const { from, nonce, owner } = seen.transaction;
  const plan = await planReplacement(client, seen.transaction, { kind, maxFeePerGas, maxPriorityFeePerGas });
  io.output.line(
    `${kind === "cancel" ? "The cancellation" : "The replacement"} pays at most ${formatGwei(plan.fees.maxFeePerGas)} gwei per gas, ${formatGwei(plan.fees.maxPriorityFeePerGas)} gwei of it as priority fee.`,
  );
  const price = await estimatePrice(client, { transactions: [plan.transaction], fees: plan.fees });
  showPrice(io.output, price);
  if (isAtWork(owner)) io.output.line(`Process ${owner.pid} waits for this transaction. It notices the new attempt.`);
  if (kind === "call") for (const line of cautionOf(seen.transaction)) io.output.line(line);
  if (args.dryRun) {
    showDryRun(io);
    return { result: { outcome: "planned", ...describeSeen(seen, connected), fees: plan.fees, price } };
  }
  const account = await signer(purpose, from);
  if (!isAddressEqual(account.address, from)) throw new SignerRequiredError([`${purpose} of what ${from} signed`]);
  await io.confirm(question);
  const fees = { maxFeePerGas: plan.fees.maxFeePerGas, maxPriorityFeePerGas };
  const sent = await send(client, { ledger, account, chainId, nonce, ...fees });
  io.output.detail("sent", lastAttempt(sent).transactionHash ?? "hash not known");
  const ended = await settleTransaction(client, {
    ...{ ledger, account, chainId, transaction: sent },
    ...createSending(io, connected, { choices, ledger, account }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: showEvents(io),
  });
  const isCancelled = ended.transaction.state === "cancelled";
  if (!(kind === "cancel" && isCancelled)) proveCalls(requireMined(ended).receipt, ended.transaction.calls);
  const { gasUsed = 0n, costWei = 0n } = ended.transaction.proof ?? {};
  io.output.step(isCancelled ? "cancelled" : "mined", `${formatGas(gasUsed)}, ${formatFee(costWei)}`);
  return {
    result: {
      ...{ outcome: ended.transaction.state, price },
      ...describeSeen({ transaction: ended.transaction, isNonceUsed: false }, connected),
    },
    show: (output) => {
      if (isCancelled) output.line(`\nNonce ${nonce} is spent on nothing. These calls were not made:`);
      else if (kind === "call") output.line(`\nNonce ${nonce} is mined:`);
      else output.line("\nToo late: the transaction was mined before its cancellation:");
      for (const { description, to } of ended.transaction.calls) output.line(`  ${description}, on ${to}`);
      if (kind === "call") output.line("Run the command that sent it again: it does the rest.");
    },
    exitCode: kind === "cancel" && !isCancelled ? negativeAnswer : 0,
  };
}

/** @throws InvalidArgumentError if another chain is connected */
function requireHere({ id, chain, chainId }: LedgerTransaction, connected: Connected): void {
  if (chain === connected.chain) return;
  const isNamesake = chainId === connected.chainId;
  throw new InvalidArgumentError(
    isNamesake
      ? `Transaction ${id} is of another chain with the id ${chainId}. A development chain has the id of the chain it imitates.`
      : `Transaction ${id} is of chain ${chainId}, and ${connected.network} is chain ${connected.chainId}.`,
    { nextStep: "Nothing was sent. Name its network with --network.", context: { id, chainId } },
  );
}

const reasons: Readonly<Record<Exclude<LedgerTransaction["state"], "open">, string>> = {
  mined: "is mined",
  reverted: "is mined, and reverted",
  taken: "can never be mined: another transaction used its nonce",
  cancelled: "is cancelled",
  refused: "was refused by the node, and was never sent",
};

/** @throws InvalidArgumentError with the reason, NonceTakenError if the nonce is used, and it is not known by what */
function requireReplaceable(transaction: LedgerTransaction, isNonceUsed: boolean): void {
  const { id, state, from, nonce, proof } = transaction;
  if (isNonceUsed)
    throw new NonceTakenError(from, nonce, lastAttempt(transaction).transactionHash, { kind: "notFound" });
  if (state === "open") return;
  const where = proof === undefined ? "" : `: ${proof.transactionHash}`;
  const block = proof?.blockNumber === undefined ? "" : `, block ${proof.blockNumber}`;
  throw new InvalidArgumentError(`Transaction ${id}, nonce ${nonce}, ${reasons[state]}${where}${block}.`, {
    nextStep: "Nothing was sent. Only an open transaction can be replaced or cancelled.",
    context: { id, nonce, state, ...(proof && { transactionHash: proof.transactionHash }) },
  });
}

function cautionOf({ purpose, calls }: LedgerTransaction): readonly string[] {
  if (purpose.kind !== "prune" || calls.length === 0) return [];
  return [
    "CAUTION: it removes compose hashes, and this task does not check whether a CVM needs them now.",
    "Run dstack prune again for that check, or cancel the transaction.",
  ];
}
