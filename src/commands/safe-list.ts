import { getAddress } from "viem";
import { readAppStatus } from "../chain/read-app.ts";
import { decodeSafeTx } from "../core/safe-calldata.ts";
import { objectionsToSafeTx } from "../core/safe-objections.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { readSafe, type SafeAccount } from "../governance/safe-account.ts";
import { listQueuedSafeTransactions, type QueuedSafeTransaction } from "../governance/safe-queue.ts";
import { describeConfirmations } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { describeApplied } from "../output/plan.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { type AppArguments, connectApp, requireApp } from "./connect-app.ts";
import type { Command, CommandHost, ConnectedChain } from "./host.ts";
import { connectPlan, type PlanCheckArguments } from "./plan.ts";
import { readApplied } from "./plan-progress.ts";
import { runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import type { SafeArguments } from "./safe-context.ts";
import { openService } from "./safe-service.ts";

export interface SafeListArguments extends Omit<PlanCheckArguments, keyof AppArguments>, AppArguments {
  readonly service?: SafeArguments["service"];
}

type Contracts = ChangePlan["contracts"];

/** Lists what is queued for a Safe, with the calls in words, and what can be executed. */
export const safeList: Command<SafeListArguments> = (args, host) => runTask(args, (io) => list(io, args, host));

async function list(io: TaskIo, args: SafeListArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connect(io, args, host);
  const { chain, account, contracts, plan } = connected;
  const service = await openService(args, host);
  if (service === undefined) {
    throw new InvalidArgumentError("No Safe transaction service is named, and only a service lists what is queued.", {
      nextStep: "Give --service with its address, or set dstack.safe.service.",
    });
  }
  const queued = await listQueuedSafeTransactions(chain.client, service, account);
  const rows = queued.map((one) => describe(one, { account, contracts, plan }));
  const { safe, chainId, version, threshold, owners, nonce } = account;
  const applied = plan && (await readApplied(chain.client, { plan, signal: io.signal }));
  return {
    result: { safe, chainId, version, threshold, owners, nonce, service: service.host, transactions: rows, ...applied },
    show: (output) => {
      output.title(`Safe ${safe} on ${chain.network}, chain ${chainId}`);
      output.line(`  version ${version}, ${threshold} of ${owners.length} owners sign, next nonce ${nonce}`);
      if (rows.length === 0) output.line(`\n${service.host} has nothing that waits.`);
      for (const row of rows) show(output, row, threshold);
      if (applied?.appliedBy === undefined || applied.appliedBy === null) return;
      output.line();
      for (const line of describeApplied(applied.appliedBy, applied.undone ?? [])) output.line(line);
    },
  };
}

interface Connected {
  readonly chain: ConnectedChain;
  readonly account: SafeAccount;
  readonly contracts: Contracts;
  readonly plan: ChangePlan | undefined;
}

/** The Safe that a plan or an app names. */
async function connect(io: TaskIo, args: SafeListArguments, host: CommandHost): Promise<Connected> {
  if (args.file !== "") {
    const { plan, chain } = await connectPlan(io, args, host);
    const { owner, chainId, contracts } = plan;
    return { chain, plan, contracts, account: await readSafe(chain.client, { safe: owner.address, chainId }) };
  }
  const app = await connectApp(args, host);
  const { appId, client, chainId, configuredKms } = app;
  const { owner } = requireApp(await readAppStatus(client, { appId }), appId);
  const generation = "unknown"; // only the addresses are needed here
  const contracts: Contracts = [
    { contract: "app", address: appId, generation },
    ...(configuredKms === undefined ? [] : [{ contract: "kms" as const, address: configuredKms, generation }]),
  ];
  return { chain: app, plan: undefined, contracts, account: await readSafe(client, { safe: owner.address, chainId }) };
}

function describe(
  { safeTx, safeTxHash, confirmations, rejected, submittedAt }: QueuedSafeTransaction,
  { account, contracts, plan }: Pick<Connected, "account" | "contracts" | "plan">,
) {
  const { safe, threshold, nonce: next } = account;
  const { calls, problems } = decodeSafeTx(safeTx, { safe, contracts });
  const planned = plan?.changes.map(({ call }) => call);
  const isPlan = planned === undefined ? null : objectionsToSafeTx(safeTx, { safe, calls: planned }).length === 0;
  const isConfirmed = BigInt(confirmations.length) >= threshold;
  const state = !isConfirmed
    ? "waits for signatures"
    : safeTx.nonce === next
      ? "can be executed"
      : "waits for its turn";
  return {
    ...{ nonce: safeTx.nonce, safeTxHash, state, isPlan, submittedAt: submittedAt ?? null },
    calls: calls.map(({ to, call, data }) => ({ to, description: call?.description ?? null, data })),
    problems: problems.map(({ message }) => message),
    confirmedBy: confirmations.map(({ signer }) => signer),
    rejected,
  };
}

function show(output: Output, row: ReturnType<typeof describe>, threshold: bigint): void {
  output.line(`\nnonce ${row.nonce}  ${row.state}${row.isPlan ? ", makes the plan's calls" : ""}`);
  output.line(`  ${row.safeTxHash}`);
  for (const { to, description } of row.calls)
    output.line(`  ${description ?? "a call that is not known"}\n    on ${getAddress(to)}`);
  for (const problem of row.problems) output.line(`  CAUTION  ${problem}`);
  output.line(`  ${describeConfirmations(row.confirmedBy.length, threshold)}: ${row.confirmedBy.join(", ") || "none"}`);
  for (const { owner, problem } of row.rejected) output.line(`  not counted: ${owner} ${problem}`);
}
