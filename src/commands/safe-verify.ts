import { readReceipt } from "../chain/transactions/receipt.ts";
import { type Hex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { InvalidArgumentError, ReceiptMismatchError } from "../errors/index.ts";
import { readSafeExecutions, type SafeExecution } from "../governance/safe-executions.ts";
import { requireProposalOf } from "../governance/safe-find.ts";
import { mergeProposals } from "../governance/safe-proposal.ts";
import { proveSafeExecution } from "../governance/safe-receipt.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { type ConnectedSafe, connectSafe, type SafeArguments } from "./safe-context.ts";

export interface SafeVerifyArguments extends SafeArguments {
  readonly transactionHash?: string | undefined;
}

/**
 * Proves from a receipt that the Safe made the plan's calls. A Safe can mine a transaction whose call failed, so a mined
 * transaction alone proves nothing.
 */
export const safeVerify: Command<SafeVerifyArguments> = (args, host) => runTask(args, (io) => verify(io, args, host));

async function verify(io: TaskIo, args: SafeVerifyArguments, host: CommandHost): Promise<TaskOutcome> {
  // What a service says proves nothing, so it is not asked.
  const connected = await connectSafe(io, { ...args, service: "none" }, host);
  const { account, plan, copies } = connected;
  for (const { path, proposal } of copies) requireProposalOf(path, proposal, { plan, account });
  const proposed = mergeProposals(copies)?.safeTxHash;
  const given = args.transactionHash === undefined ? undefined : parseTransactionHash(args.transactionHash);
  const described = { planDigest: plan.digest, safe: account.safe, chainId: account.chainId };
  if (given !== undefined) {
    const safeTxHash = await proveIn(connected, given);
    return proven(connected, { ...described, proposed }, { safeTxHash, transactionHash: given });
  }
  const executions = await readSafeExecutions(connected.chain.client, {
    ...{ safe: account.safe, fromBlock: plan.pinned.number, signal: io.signal },
  });
  for (const execution of executions.toReversed()) {
    if (!execution.isSuccessful) continue;
    const safeTxHash = await proveIn(connected, execution.transactionHash).catch((error: unknown) => {
      if (!(error instanceof ReceiptMismatchError)) throw error;
      return undefined;
    });
    if (safeTxHash !== undefined)
      return proven(connected, { ...described, proposed }, { safeTxHash, transactionHash: execution.transactionHash });
  }
  return unproven(
    connected,
    described,
    executions.findLast((one) => one.safeTxHash === proposed),
  );
}

/** @throws ReceiptMismatchError, InvalidArgumentError if the endpoint has no receipt; RpcUnavailableError */
async function proveIn({ chain, account, calls }: ConnectedSafe, transactionHash: TransactionHash): Promise<Hex> {
  const receipt = await readReceipt(chain.client, transactionHash);
  if (receipt !== undefined) return proveSafeExecution(receipt, { safe: account.safe, calls });
  throw new InvalidArgumentError(`The endpoint has no receipt of transaction ${transactionHash}.`, {
    nextStep: "Check the hash and the network. A transaction that no block holds has no receipt yet.",
    context: { transactionHash },
  });
}

function proven(
  { calls }: ConnectedSafe,
  { proposed, ...described }: { readonly proposed: Hex | undefined },
  { safeTxHash, transactionHash }: { readonly safeTxHash: Hex; readonly transactionHash: Hex },
): TaskOutcome {
  const isProposed = proposed === undefined ? null : proposed === safeTxHash;
  return {
    result: {
      ...{ ...described, outcome: "proven", transactionHash, safeTxHash, isProposed },
      calls: calls.map(({ to, description }) => ({ to, description })),
    },
    show: (output) => {
      output.line("The Safe executed the plan, and each of its events is there:");
      for (const { description } of calls) output.line(`  ${description}`);
      output.line(`  by transaction ${transactionHash}`);
      output.line(`  Safe transaction ${safeTxHash}${isProposed === false ? ", which is not the proposal" : ""}`);
    },
  };
}

function unproven({ account, plan }: ConnectedSafe, described: object, failed: SafeExecution | undefined): TaskOutcome {
  const outcome = failed === undefined ? "not executed" : "failed";
  return {
    result: { ...described, outcome, transactionHash: failed?.transactionHash ?? null, nonce: account.nonce },
    show: (output) => {
      if (failed === undefined) {
        output.line(`Since block ${plan.pinned.number}, the Safe has executed nothing that makes the plan's calls.`);
      } else {
        output.line(`Transaction ${failed.transactionHash} executed the proposal, but a call in it failed.`);
        output.line("Nothing changed, and its nonce is used. Propose the plan anew: dstack safe propose.");
      }
    },
    exitCode: negativeAnswer,
  };
}
