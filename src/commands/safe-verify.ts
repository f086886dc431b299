import { parseTransactionHash } from "../core/ids.ts";
import { type FoundExecution, findProvenExecution } from "../governance/find-execution.ts";
import { type ProvenExecution, proveExecution } from "../governance/prove-execution.ts";
import { requireProposalOf } from "../governance/safe-find.ts";
import { mergeProposals, type SafeProposal } from "../governance/safe-proposal.ts";
import { describeUndone, nextCommands, toNextStep } from "../output/plan.ts";
import { finishPlan } from "./after-execution.ts";
import type { Command, CommandHost } from "./host.ts";
import { type Applied, readApplied, readProgress } from "./plan-progress.ts";
import { negativeAnswer, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { nextTask } from "./safe.ts";
import { type ConnectedSafe, connectSafe, describeUse, type SafeArguments } from "./safe-context.ts";

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
  const { account, plan, copies, chain } = connected;
  for (const { path, proposal } of copies) requireProposalOf(path, proposal, { plan, account });
  const proposal = mergeProposals(copies);
  const { transactionHash: named } = args;
  const verdict: FoundExecution | ProvenExecution =
    named === undefined
      ? await findProvenExecution(chain.client, plan, { signal: io.signal })
      : await proveExecution(chain.client, plan, { transactionHash: parseTransactionHash(named) });
  const { undone } = await readApplied(chain.client, { plan, signal: io.signal });
  if (verdict.kind === "applied") {
    const transactionHashes = [verdict.transactionHash];
    const outcome = proven(connected, { proposal, verdict, undone });
    return finishPlan(io, host, { ...connected, args, transactionHashes }, outcome);
  }
  const { outcome, words, next } = await explain(connected, { args, proposal, verdict, undone });
  const transactionHash = verdict.kind === "refused" ? verdict.transactionHash : null;
  return {
    result: {
      ...{ planDigest: plan.digest, safe: account.safe, chainId: account.chainId, nonce: account.nonce },
      ...{ outcome, transactionHash, undone, words, nextStep: toNextStep(next) },
    },
    show: (output) => {
      for (const line of [...words, ...next]) output.line(line);
    },
    exitCode: negativeAnswer,
  };
}

interface Proven {
  readonly proposal: SafeProposal | undefined;
  readonly verdict: ProvenExecution;
  readonly undone: Applied["undone"];
}

function proven({ plan, account, calls }: ConnectedSafe, { proposal, verdict, undone }: Proven): TaskOutcome {
  const { transactionHash, safeTxHash, blockNumber } = verdict;
  const isProposed = proposal === undefined ? null : proposal.safeTxHash === safeTxHash;
  return {
    result: {
      ...{ planDigest: plan.digest, safe: account.safe, chainId: account.chainId, outcome: "proven" },
      ...{ transactionHash, blockNumber, safeTxHash: safeTxHash ?? null, isProposed, undone },
      calls: calls.map(({ to, description }) => ({ to, description })),
    },
    show: (output) => {
      output.line("The Safe executed the plan. Exactly the planned events came out:");
      for (const { description } of calls) output.line(`  ${description}`);
      output.line(`  in transaction ${transactionHash}, block ${blockNumber}`);
      const other = isProposed === false ? ", which is not the proposal" : "";
      output.line(
        `  by ${safeTxHash === undefined ? "a module of the Safe" : `Safe transaction ${safeTxHash}`}${other}`,
      );
      for (const line of describeUndone(undone)) output.line(line);
    },
  };
}

interface Refuted {
  readonly args: SafeArguments;
  readonly proposal: SafeProposal | undefined;
  readonly verdict: Exclude<FoundExecution, { kind: "applied" }>;
  readonly undone: Applied["undone"];
}

/** Why the plan is not executed, as sentences, and the commands that come next, as lines. */
async function explain(
  connected: ConnectedSafe,
  { args, proposal, verdict, undone }: Refuted,
): Promise<{ readonly outcome: string; readonly words: readonly string[]; readonly next: readonly string[] }> {
  const { account, plan, chain } = connected;
  if (verdict.kind === "refused")
    return { outcome: verdict.reason === "safe-failed" ? "failed" : "refused", words: [verdict.message], next: [] };
  if (verdict.kind === "partly-applied") {
    const open = verdict.open.map(({ call }) => `  not done: ${call.description}`);
    if (open.length > 0)
      return { outcome: "partly executed", words: ["Only a part of the plan is executed:", ...open], next: [] };
    const words = ["The plan was executed, in several transactions.", ...describeUndone(undone)];
    return { outcome: "partly executed", words, next: [] };
  }
  if (proposal !== undefined && proposal.safeTx.nonce < account.nonce) {
    const use = await describeUse(connected, proposal);
    const words = [`Nonce ${proposal.safeTx.nonce} is used: ${use}.`, "Propose the plan anew:"];
    return { outcome: "nonce used", words, next: [`  ${nextTask("propose", args, chain.network)}`] };
  }
  const since = `since block ${plan.pinned.number}`;
  const place = { file: args.file, network: chain.network };
  const progress = await readProgress(chain.client, { plan, ...place });
  return {
    outcome: "not executed",
    words: [`The Safe has not executed the plan ${since}. Its next nonce is ${account.nonce}.`],
    next: progress?.next ?? nextCommands("safe", place.file, place.network, 2),
  };
}
