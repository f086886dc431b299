import { type Address, isAddressEqual, keccak256 } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode, readDelegation } from "../chain/code.ts";
import { signerOf } from "../chain/transactions/prepare.ts";
import {
  batchExecutorAddress,
  batchExecutorCodeHash,
  deterministicDeployer,
  isEarlierBatchExecutor,
} from "../core/batch-executor.ts";
import { batchGasCeilingOf, executorDeploymentGasCeiling, gasCeilingOf, orderCalls } from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import {
  DelegationUnsupportedError,
  ExecutorMismatchError,
  ForeignDelegationError,
  InvalidArgumentError,
} from "../errors/index.ts";
import { type BatchMode, type BatchParameters, type BatchRun, openRun } from "./run.ts";

export interface PlanBatchParameters extends BatchParameters {
  readonly calls: readonly OwnerCall[];
  /**
   * `none`: one transaction per call. `7702`: one transaction for all calls, through the batch executor (EIP-7702).
   * `auto`: `7702` if it is possible and saves gas. @default "auto"
   */
  readonly mode?: BatchMode | "auto" | undefined;
  /**
   * Whether `auto` may let the account begin to delegate. A delegation stays after the batch, so ask the user first. An
   * account that delegates to the executor already needs no permission. @default false
   */
  readonly allowDelegation?: boolean | undefined;
  /** Address of the executor, if it differs from the address derived from its code. Its code is verified. */
  readonly executor?: Address | undefined;
  /** Also plans calls that change nothing. @default false */
  readonly allowNoEffect?: boolean | undefined;
}

/**
 * The most that a batch may sign. If the chain has changed and more is needed, sendBatch stops. It may sign less, for
 * example no authorisation if the account delegates by then.
 */
export interface BatchPlan {
  readonly chainId: number;
  readonly account: Address;
  /** In the order in which they are executed. */
  readonly calls: readonly OwnerCall[];
  readonly mode: BatchMode;
  /** Why this mode was chosen, for the user. */
  readonly reason: string;
  /** Nonce of the first transaction. It comes from the endpoint only. */
  readonly nonce: number;
  /** Upper limit for the gas limits of all transactions together. */
  readonly gas: bigint;
  /** Given for mode `7702`. */
  readonly delegation: DelegationPlan | undefined;
  /**
   * The delegation that `auto` would take with `allowDelegation`. Given if the lack of that permission is the only reason
   * for mode `none`.
   */
  readonly offer: DelegationPlan | undefined;
  /** Whether the batch sends one transaction per call if the endpoint rejects the delegation. */
  readonly fallsBack: boolean;
}

export interface DelegationPlan {
  /**
   * Contract whose code acts for the account: the executor's own address, or the one that the caller named. The
   * endpoint never supplies this address.
   */
  readonly executor: Address;
  /** Whether the first transaction authorises the executor. False if the account already delegates to it. */
  readonly authorizes: boolean;
  /** The executor of an earlier version, if the account delegates to one. The authorisation replaces it. */
  readonly replaces: Address | undefined;
  /** Whether the executor is deployed first. */
  readonly deploys: boolean;
}

/** From this number of calls on, deploying the executor costs less gas than it saves. */
const worthADeployment = 32;

/**
 * Decides how calls will be executed and signs nothing, so that the user can review the plan. Pass the result to
 * sendBatch.
 *
 * @throws InvalidArgumentError if calls contradict each other
 * @throws NoEffectError for calls that change nothing
 * @throws DelegationUnsupportedError, ForeignDelegationError, ExecutorMismatchError if the caller requested `7702`
 * @throws SignerRequiredError, WrongChainError, ImplausibleAnswerError, RpcUnavailableError
 *
 * @example
 * import { planBatch } from "dstack-toolkit/batch";
 * import { calls, client } from "./app.js";
 * const plan = await planBatch(client, { calls });
 * console.log(plan.mode, plan.reason);
 */
export async function planBatch(client: ChainClient, parameters: PlanBatchParameters): Promise<BatchPlan> {
  const calls = orderCalls(parameters.calls);
  const { executor } = parameters;
  using run = await openRun(client, parameters, { calls, title: titleOf(calls), executor });
  await run.look();
  return planFor(run, parameters);
}

/** Names the calls, for an error message. */
export function titleOf(calls: readonly OwnerCall[]): string {
  return [...new Set(calls.map(({ functionName }) => functionName))].join(", ");
}

type PlanSettings = Pick<PlanBatchParameters, "mode" | "executor" | "allowDelegation" | "allowNoEffect">;

/** The plan for the calls that a run has not seen done. */
export async function planFor(
  run: BatchRun,
  { mode: wanted = "auto", executor, allowDelegation = false, allowNoEffect = false }: PlanSettings,
): Promise<BatchPlan> {
  const { account, chainId } = run;
  const { address } = account;
  if (!allowNoEffect) await run.requireEffect();
  const calls = run.unfinished;
  const [choice, nonce] = await Promise.all([
    chooseMode(run, { wanted, executor, allowDelegation }),
    run.sender.readNextNonce(),
  ]);
  const oneByOne = calls.reduce((sum, call) => sum + gasCeilingOf(call), 0n);
  const fallsBack = choice.mode === "7702" && wanted === "auto";
  return {
    ...choice,
    ...{ chainId, account: address, calls, nonce, fallsBack },
    gas:
      (choice.delegation === undefined ? 0n : gasOf(run, choice.delegation)) +
      (fallsBack || choice.mode === "none" ? oneByOne : 0n),
  };
}

/** Every transaction has the overhead, and there may be one transaction per call. */
function gasOf({ unfinished }: BatchRun, { deploys }: DelegationPlan): bigint {
  return batchGasCeilingOf(unfinished) + (deploys ? executorDeploymentGasCeiling : 0n);
}

/** Returns if the plan covers the calls that may have to be signed. @throws InvalidArgumentError */
export function requirePlanned({ chainId, account, unfinished }: BatchRun, plan: BatchPlan): void {
  const isSame = plan.chainId === chainId && isAddressEqual(plan.account, account.address);
  const shown = new Set(plan.calls.map(({ to, data }) => `${to} ${data}`));
  if (isSame && unfinished.every(({ to, data }) => shown.has(`${to} ${data}`))) return;
  throw new InvalidArgumentError("The plan is for other calls, another account or another chain.", {
    nextStep: "Plan again with the calls, account and chain that will be sent.",
  });
}

type ModeChoice = Pick<BatchPlan, "mode" | "reason" | "delegation" | "offer">;

interface ChooseModeParameters {
  readonly wanted: BatchMode | "auto";
  readonly executor: Address | undefined;
  readonly allowDelegation: boolean;
}

async function chooseMode(
  run: BatchRun,
  { wanted, executor, allowDelegation }: ChooseModeParameters,
): Promise<ModeChoice> {
  const count = run.unfinished.length;
  if (count === 0) return oneByOne("nothing is left to send");
  if (wanted === "none") return oneByOne("one transaction per call was requested");
  if (wanted === "7702") {
    const delegation = await planDelegation(run, executor);
    if (delegation.deploys) await requireDeployer(run);
    return allAtOnce("one transaction was requested", delegation);
  }
  if (count === 1) return oneByOne("one call needs no batch");
  try {
    const delegation = await planDelegation(run, executor);
    const { authorizes, replaces, deploys } = delegation;
    if (deploys && count < worthADeployment) {
      return oneByOne(`${count} calls save less gas than deploying the batch executor costs`);
    }
    if (deploys) await requireDeployer(run);
    if (authorizes && !allowDelegation) {
      const reason =
        replaces === undefined
          ? "one transaction would need a delegation of the account, which was not allowed"
          : `the account delegates to an earlier batch executor, ${replaces}, and a new delegation was not allowed`;
      return { ...oneByOne(reason), offer: delegation };
    }
    const reason = deploys ? "save more gas than deploying the batch executor costs" : "fit in one transaction";
    return allAtOnce(`${count} calls ${reason}`, delegation);
  } catch (error) {
    if (!(error instanceof DelegationUnsupportedError || error instanceof ForeignDelegationError)) throw error;
    return oneByOne(error.message.replace(/\.$/, ""));
  }
}

function allAtOnce(reason: string, delegation: DelegationPlan): ModeChoice {
  return { mode: "7702", reason, delegation, offer: undefined };
}

function oneByOne(reason: string): ModeChoice {
  return { mode: "none", reason, delegation: undefined, offer: undefined };
}

/**
 * Decides once what is authorised. An authorisation gives full control of the account, so its target is an address
 * computed here or named by the caller. The endpoint's answers can only prevent the authorisation.
 */
async function planDelegation(run: BatchRun, named: Address | undefined): Promise<DelegationPlan> {
  const { client, account } = run;
  if (signerOf(account) === undefined) {
    throw new DelegationUnsupportedError("a node or a wallet holds the key, and it cannot sign authorisations");
  }
  const executor = named ?? batchExecutorAddress;
  const delegation = await readDelegation(client, { address: account.address });
  if (delegation.kind === "contract") throw new DelegationUnsupportedError(`${account.address} is a contract`);
  const current = delegation.kind === "delegated" ? delegation.to : undefined;
  const isOurs = current !== undefined && isAddressEqual(current, executor);
  const replaces = current !== undefined && !isOurs && isEarlierBatchExecutor(current) ? current : undefined;
  if (current !== undefined && !isOurs && replaces === undefined) {
    throw new ForeignDelegationError(account.address, current);
  }
  // Recorded transactions are sent first. One of them may end the current delegation.
  const isEnding = run.sender.readRecorded().others.some(({ authorizes, calls }) => authorizes && calls.length === 0);
  const authorizes = !isOurs || isEnding;
  const isThere = await isExecutorDeployed(client, { address: executor });
  if (!isThere && !isAddressEqual(executor, batchExecutorAddress)) {
    throw new DelegationUnsupportedError(`there is no batch executor at ${executor}`);
  }
  return { executor, authorizes, replaces, deploys: !isThere };
}

async function requireDeployer({ client }: BatchRun): Promise<void> {
  if ((await readCode(client, { address: deterministicDeployer })) !== "0x") return;
  throw new DelegationUnsupportedError(
    `this chain has neither the batch executor nor the proxy ${deterministicDeployer} that could deploy it`,
  );
}

/**
 * Whether the executor is deployed at this address; false if the address has no code. The endpoint answers, so this
 * detects mistakes but not a dishonest endpoint. Never authorise an address because of this result alone.
 *
 * @throws ExecutorMismatchError if the address has other code; RpcUnavailableError
 */
export async function isExecutorDeployed(
  client: ChainClient,
  { address }: { readonly address: Address },
): Promise<boolean> {
  const code = await readCode(client, { address });
  if (code === "0x") return false;
  const codeHash = keccak256(code);
  if (codeHash !== batchExecutorCodeHash) throw new ExecutorMismatchError(address, codeHash, batchExecutorCodeHash);
  return true;
}
