import type { Address } from "viem";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { InvalidArgumentError, isDstackError, LintRefusedError } from "../errors/index.ts";
import { examineOwner } from "../governance/examine-owner.ts";
import { contractsOf, type ExecutionVerdict, proveExecution } from "../governance/prove-execution.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { LocalChainClient } from "../world/chain/client.ts";
import { executeAsKey } from "./execute-as-key.ts";
import { executeInSafe } from "./execute-in-safe.ts";
import { executeInTimelock } from "./execute-in-timelock.ts";
import { type ExecutionContext, type KeyBatch, type RehearsablePlan, sendAs } from "./execution-context.ts";
import { type FundedAccount, Impersonation } from "./impersonation.ts";
import { type LiveFees, type RehearsedStep, StepRecorder } from "./step.ts";

export interface ExecuteAsOwnerParameters {
  readonly plan: RehearsablePlan;
  readonly fees: LiveFees;
  /** Moves the clock of the chain, and of all that must agree with it, and mines a block. */
  readonly advance: ExecutionContext["advance"];
  /** How a key would send the calls. @default one transaction for each */
  readonly batch?: KeyBatch | undefined;
  /** An account that proposes in the timelock. @default one that its events name */
  readonly proposer?: Address | undefined;
  readonly onStep?: ((step: RehearsedStep) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What became of a plan on a development chain. */
export interface RehearsedExecution {
  readonly steps: readonly RehearsedStep[];
  /** One for each transaction that makes the plan's calls. */
  readonly proofs: readonly ExecutionVerdict[];
  /** Why it stopped before its end. */
  readonly failure: RehearsalFailure | undefined;
  /** Sentences: where the rehearsal did something else than the owner would. */
  readonly deviations: readonly string[];
  /** Accounts that could have paid for nothing, so they got a balance. */
  readonly funded: readonly FundedAccount[];
}

export interface RehearsalFailure {
  /** A sentence. */
  readonly message: string;
  /** Code of the error, as `DSTK-2007`. */
  readonly code: string;
  readonly nextStep: string | undefined;
  /** The calls whose execution failed, in words. */
  readonly calls: readonly string[];
}

/** Executes the plan's calls as one kind of owner. */
type Way = (context: ExecutionContext, owner: ReadOwnerReturnType) => Promise<void>;

const ways: Readonly<Record<ChangePlan["owner"]["kind"], Way>> = {
  key: executeAsKey,
  safe: executeAsSafe,
  timelock: executeInTimelock,
  contract: executeAsContract,
};

/**
 * Executes a plan as its real owner would, on a development chain such as a fork, without a key: the owner's account, the
 * Safe's owners or the timelock's proposers are impersonated. A refusal of the chain is a result, and not an error.
 *
 * @throws InvalidArgumentError on a chain that is no development chain, or if no proposer of a timelock is known
 * @throws WrongChainError, RpcUnavailableError, LogsRefusedError, LogsUnavailableError
 */
export async function executeAsOwner(
  client: LocalChainClient,
  { plan, fees, batch = { mode: "none" }, onStep, ...parameters }: ExecuteAsOwnerParameters,
): Promise<RehearsedExecution> {
  const { advance, proposer, signal } = parameters;
  const calls = plan.changes.map(({ call }) => call);
  const impersonation = await Impersonation.open(client);
  const contracts = [...contractsOf({ contracts: plan.contracts, calls }), ...timelockOf(plan)];
  const recorder = new StepRecorder(client, { fees, contracts, onStep });
  const deviations = new Set<string>();
  const proofs: ExecutionVerdict[] = [];
  const context: ExecutionContext = {
    ...{ client, plan, calls, impersonation, recorder, advance, batch, proposer, signal },
    deviate: (sentence) => void deviations.add(sentence),
    prove: async (proven, demands) => {
      const changes = plan.changes.filter(({ call }) => proven.includes(call));
      proofs.push(await proveExecution(client, { ...plan, changes }, demands));
    },
  };
  const failure = await attempt(calls, async () => {
    const owner = await readOwner(client, { address: plan.owner.address });
    await requireAble(context, owner);
    if (calls.length > 0) await ways[plan.owner.kind](context, owner);
  });
  const { funded } = impersonation;
  return { steps: recorder.steps, proofs, failure, deviations: [...deviations], funded };
}

function timelockOf({ owner }: RehearsablePlan) {
  return owner.kind === "timelock" ? [{ contract: "timelock", address: owner.address } as const] : [];
}

/** Turns a refusal into a result. An outage, and an argument that cannot be used, stay errors. */
async function attempt(calls: readonly OwnerCall[], work: () => Promise<void>): Promise<RehearsalFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isDstackError(error) || error.retryable || error instanceof InvalidArgumentError) throw error;
    const { message, code, nextStep } = error;
    return { message, code, nextStep, calls: calls.map(({ description }) => description) };
  }
}

/**
 * An impersonated account can make every call. So whether the real one can is found out first.
 *
 * @throws LintRefusedError if it cannot, RpcUnavailableError
 */
async function requireAble(
  { client, calls, signal }: ExecutionContext,
  { address, kind }: ReadOwnerReturnType,
): Promise<void> {
  // Who may act in a timelock is found out where it acts.
  const owned = calls.find(({ contract }) => contract !== "timelock");
  if (owned === undefined || (kind !== "safe" && kind !== "contract")) return;
  const { newOwner, findings } = await examineOwner(client, { contract: owned.to, newOwner: address, signal });
  if (newOwner.ability !== "unable") return;
  const advice = `No account can make calls of ${address} any more. What must change there needs a new contract.`;
  const errors = findings.filter(({ severity }) => severity === "error").map((finding) => ({ ...finding, advice }));
  throw new LintRefusedError(errors, { canAccept: false });
}

async function executeAsSafe(context: ExecutionContext, owner: ReadOwnerReturnType): Promise<void> {
  const { safeTxHash, transactionHash } = await executeInSafe(context, { safe: owner.address, calls: context.calls });
  await context.prove(context.calls, { transactionHash, safeTxHash });
}

/** What makes such a contract call is not known, so it is impersonated itself. */
async function executeAsContract(context: ExecutionContext, { address }: ReadOwnerReturnType): Promise<void> {
  context.deviate(
    `The owner ${address} is a contract, neither a Safe nor a timelock. It was impersonated itself: who can make it call, and under which conditions, was not rehearsed.`,
  );
  for (const call of context.calls) {
    const { transactionHash } = await sendAs(context, { from: address, call });
    await context.prove([call], { transactionHash });
  }
}
