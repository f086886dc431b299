import type { Account } from "viem";
import { getBlock } from "viem/actions";
import { type BatchEvent, type BatchMode, type BatchTransaction, openRun } from "../batch/run.ts";
import { type SendBatchParameters, sendBatch } from "../batch/send-batch.ts";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readChainIdentity } from "../chain/transactions/chain-identity.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { type ComposeHash, parseComposeHash } from "../core/ids.ts";
import { type OwnerCall, removeComposeHashCall } from "../core/owner-calls.ts";
import {
  InvalidArgumentError,
  type Objection,
  PruneBlockedError,
  PrunedHashInUseError,
  PruneOvertakenError,
} from "../errors/index.ts";
import { readAllowedKeys } from "../history/compare-with-state.ts";
import type { AllowlistUse, UnknownFact } from "./allowlist-use.ts";
import { findMentions } from "./allowlist-use.ts";
import { describeReason } from "./keep-rules.ts";
import { datedBy, findObjections, type PrunePlan, planPrune, removalsOf } from "./plan-prune.ts";
import { isBlockOfChain, type PruneSource, readAllowlistUseFrom, requireDates } from "./read-allowlist-use.ts";
import { readCloudUse } from "./read-cloud-use.ts";

export interface ApplyPrunePlanParameters
  extends Pick<
    SendBatchParameters,
    | ("confirmUnsigned" | "timeoutMs" | "finalityTimeoutMs" | "pollIntervalMs" | "window" | "until")
    | ("maxFeePerGas" | "maxPriorityFeePerGas" | "transactionHash" | "onUnderpriced")
  > {
  readonly plan: PrunePlan;
  readonly source: PruneSource;
  readonly account: Account;
  /** @default "auto" */
  readonly mode?: SendBatchParameters["mode"];
  /** @default false */
  readonly allowDelegation?: SendBatchParameters["allowDelegation"];
  /**
   * The result of planBatch for the plan's removals, as the user has reviewed it. `mode` and `allowDelegation` are then
   * ignored.
   */
  readonly batchPlan?: SendBatchParameters["plan"];
  /** The ledger that earlier runs used too. Removals that they signed are completed first. */
  readonly ledger: Ledger;
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
}

export interface PruneResult {
  /** Hashes that this run removed from the allowlist. */
  readonly removed: readonly ComposeHash[];
  /** Hashes whose removal an earlier run had signed and this run completed. */
  readonly finished: readonly ComposeHash[];
  /** Transactions of this run and of the earlier one, in the order in which they were mined. */
  readonly transactions: readonly BatchTransaction[];
  /** How this run sent its transactions; undefined if nothing was left to send. */
  readonly mode: BatchMode | undefined;
}

/**
 * Executes a plan. It first completes the transactions that an earlier run signed, because they may be mined at any
 * time. Then it reads all facts again and sends the removals. Right before each transaction is sent, and after the last
 * one, it checks again which hashes are in use. Between that check and the block of the transaction, a CVM may still
 * start to use a hash. No contract prevents this. It takes seconds only, and the last check reports it.
 *
 * @throws InvalidArgumentError if a recorded removal shares its transaction with a call that this plan does not check
 * @throws UnsignedRecordError if a removal without signed bytes would have to be sent and no caller confirmed it
 * @throws PruneBlockedError if facts are unknown and not accepted
 * @throws PruneOvertakenError if a hash came into use, or the owner or the list changed; nothing more is sent
 * @throws HistoryContradictedError if the chain does not have the additions by which the hashes were ordered
 * @throws PrunedHashInUseError if a hash came into use while it was removed
 * @throws KeyEpochsError unless the source accepts them
 * @throws BatchStoppedError, and what sendBatch and readAllowlistUseFrom throw
 *
 * @example
 * import { applyPrunePlan } from "dstack-toolkit/prune";
 * import { account, ledger, plan, source } from "./app.js";
 * const { removed, transactions } = await applyPrunePlan({ plan, source, account, ledger });
 */
export async function applyPrunePlan(parameters: ApplyPrunePlanParameters): Promise<PruneResult> {
  const { plan, source } = parameters;
  await requireSameChain(source.chain, plan);
  const recorded = await readRecordedRemovals(source.chain, parameters);
  const earlier = recorded.length === 0 ? undefined : await finishRecorded(parameters, recorded);

  const removed = removalsOf(plan).filter((hash) => earlier?.gone.has(hash) !== true);
  const sent = removed.length === 0 ? undefined : await sendRemovals(parameters, removed);
  const transactions = [earlier?.batch, sent].flatMap((batch) => batch?.transactions ?? []);
  const finished = [...(earlier?.gone ?? [])];
  const last = transactions.at(-1);
  if (last !== undefined) await requireGone(parameters, [...finished, ...removed], last.blockNumber);
  return { removed, finished, transactions, mode: sent?.mode };
}

/**
 * The hashes that an unfinished prune of the app has recorded the removal of.
 *
 * @throws InvalidArgumentError if one of them makes another call too: a prune sends removals of one app alone
 * @throws LedgerError, RpcUnavailableError
 */
export async function readRecordedRemovals(
  client: ChainClient,
  { ledger, plan, account }: Pick<ApplyPrunePlanParameters, "ledger" | "plan" | "account">,
): Promise<readonly ComposeHash[]> {
  const { appId } = plan;
  const { chain } = await readChainIdentity(client, plan.chainId);
  const isOfApp = ({ to, functionName }: OwnerCall) => to === appId && functionName === "removeComposeHash";
  const calls = ledger
    .transactions({ chain, signer: account.address, states: ["open", "mined"], isUnfinished: true })
    .filter((one) => one.purpose.kind === "prune" && one.calls.some(isOfApp))
    .flatMap((one) => one.calls);
  const foreign = calls.find((call) => !isOfApp(call));
  if (foreign === undefined) return [...new Set(calls.map(({ args: [hash] }) => parseComposeHash(String(hash))))];
  throw new InvalidArgumentError(
    `The ledger holds a removal of a prune that shares its transaction with another call: ${foreign.description}, on ${foreign.to}.`,
    {
      nextStep: "Nothing was sent. Look at the ledger, then cancel that transaction.",
      context: { description: foreign.description, to: foreign.to, appId },
    },
  );
}

/** Checks whether the recorded removals are still safe, sends the same bytes again, and waits for them. */
async function finishRecorded(parameters: ApplyPrunePlanParameters, recorded: readonly ComposeHash[]) {
  const { plan, source } = parameters;
  const calls = recorded.map((composeHash) => removeComposeHashCall({ appId: plan.appId, composeHash }));
  using run = await openRun(source.chain, settingsOf(parameters), { calls, title: "removeComposeHash" });
  // A removal that is mined, or can never be mined, needs no check.
  await run.look();
  const open = recorded.filter((_, index) => run.result("none", "").calls[index]?.status === "pending");
  if (open.length > 0) {
    const use = await readAllowlistUseFrom(source, namedBy(plan, open));
    const isOpen = new Set(use.allowed.map(({ composeHash }) => composeHash));
    requireNoObjection(
      parameters,
      use,
      open.filter((hash) => isOpen.has(hash)),
    );
  }
  await run.sender.resume();
  await run.sender.finish();
  // What they left to do is planned anew.
  for (const { transaction } of run.sender.sent) parameters.ledger.endBatch(transaction.batch);
  const batch = run.result("none", "an earlier run signed them");
  // If another transaction took the nonce, the recorded one did nothing, and its removals are still open.
  const { number: blockNumber } = await withRpcErrors(source.chain, "reading the latest block", () =>
    getBlock(source.chain),
  );
  const left = await readStillAllowed(parameters, recorded, blockNumber);
  return { batch, gone: new Set(recorded.filter((hash) => !left.has(hash))) };
}

async function sendRemovals(parameters: ApplyPrunePlanParameters, removals: readonly ComposeHash[]) {
  const { plan, source, mode, allowDelegation, batchPlan } = parameters;
  const use = await readAllowlistUseFrom(source, namedBy(plan, removals));
  requireNoObjection(parameters, use, removals);
  const { appId } = plan;
  await requireDates(source.chain, { appId, hashes: datedBy(plan, use, removals), signal: source.signal });
  return sendBatch(source.chain, {
    ...settingsOf(parameters),
    mode,
    allowDelegation,
    plan: batchPlan,
    calls: removals.map((composeHash) => removeComposeHashCall({ appId: plan.appId, composeHash })),
    beforeSend: ({ data }) => requireUnused(parameters, findMentions(data, removals)),
  });
}

function settingsOf(parameters: ApplyPrunePlanParameters) {
  const { plan, source, account, ledger, confirmUnsigned, onEvent, ...rest } = parameters;
  const { timeoutMs, finalityTimeoutMs, pollIntervalMs, window, until } = rest;
  const { maxFeePerGas, maxPriorityFeePerGas, transactionHash, onUnderpriced } = rest;
  return {
    ...{ account, chainId: plan.chainId, ledger, confirmUnsigned, onEvent, signal: source.signal },
    ...{ timeoutMs, finalityTimeoutMs, pollIntervalMs, window, until },
    ...{ maxFeePerGas, maxPriorityFeePerGas, transactionHash, onUnderpriced },
    purpose: { kind: "prune" } as const,
  };
}

/** All hashes that the plan names, even without an event. They are checked again. */
export function namedBy(
  { policy, rows }: Pick<PrunePlan, "policy" | "rows">,
  hashes: readonly ComposeHash[] = removalsOf({ rows }),
): readonly ComposeHash[] {
  const pinned = policy.pins.map(({ composeHash }) => composeHash);
  return [...new Set([...hashes, ...pinned, ...policy.queued.flatMap(({ composeHashes }) => composeHashes)])];
}

async function requireSameChain(client: ChainClient, { pinned, chainId }: PrunePlan): Promise<void> {
  if (await isBlockOfChain(client, pinned)) return;
  throw new PruneOvertakenError([
    { problem: `block ${pinned.number} of chain ${chainId} is no longer the one the plan was made at` },
  ]);
}

function requireNoObjection(
  { plan, source }: ApplyPrunePlanParameters,
  use: AllowlistUse,
  removals: readonly ComposeHash[],
): void {
  // If no proof is requested now, a proof that failed for the plan still counts as failed.
  const unproven = source.prove === undefined ? plan.unknowns.filter(({ kind }) => kind === "proof") : [];
  requireKnown(plan, [...use.unknowns, ...unproven]);
  const objections = findObjections(plan, use, removals);
  if (objections.length > 0) throw new PruneOvertakenError(objections);
}

function requireKnown({ policy }: PrunePlan, unknowns: readonly UnknownFact[]): void {
  const open = unknowns.filter(({ kind }) => !policy.acceptedUnknowns.includes(kind));
  if (open.length > 0) throw new PruneBlockedError(open);
}

/** Last check before a transaction is sent. It asks only the cloud: a removal cannot harm anything on chain. */
async function requireUnused(
  { plan, source }: ApplyPrunePlanParameters,
  leaving: readonly ComposeHash[],
): Promise<void> {
  if (leaving.length === 0) return; // a transaction without removals, such as the deployment of the executor
  const { objections, unknowns } = await findUses(source, plan, leaving);
  requireKnown(plan, unknowns);
  if (objections.length > 0) throw new PruneOvertakenError(objections);
}

async function requireGone(
  parameters: ApplyPrunePlanParameters,
  removed: readonly ComposeHash[],
  blockNumber: bigint,
): Promise<void> {
  const { plan, source } = parameters;
  const left = await readStillAllowed(parameters, removed, blockNumber);
  if (left.size > 0) {
    throw new PruneOvertakenError([...left].map((composeHash) => ({ composeHash, problem: "is still on the list" })));
  }
  const { objections } = await findUses(source, plan, removed);
  if (objections.length > 0) throw new PrunedHashInUseError(plan.appId, objections);
}

function readStillAllowed(
  { plan, source }: ApplyPrunePlanParameters,
  keys: readonly ComposeHash[],
  blockNumber: bigint,
): Promise<ReadonlySet<ComposeHash>> {
  const { appId } = plan;
  const { chain, signal } = source;
  return readAllowedKeys(chain, { appId, view: "allowedComposeHashes", keys, blockNumber, signal, retryDelayMs: 250 });
}

/** Finds which of these hashes the cloud reports as in use now. */
async function findUses({ cloud, signal }: PruneSource, plan: PrunePlan, composeHashes: readonly ComposeHash[]) {
  if (cloud === undefined) return { objections: [], unknowns: [] };
  const { appId, chainId } = plan;
  const use = await readCloudUse(cloud, { appId, chainId, composeHashes, signal });
  const allowed = composeHashes.map((composeHash) => ({ composeHash, added: undefined }));
  const inUse = planPrune({ ...plan, ...use, allowed, queued: [] }, { ...plan.policy, ...nothingKept });
  return {
    objections: inUse.rows.flatMap(({ composeHash, reasons, added }): Objection[] =>
      reasons.map((reason) => ({ composeHash, problem: describeReason(reason, { added }) })),
    ),
    unknowns: use.unknowns,
  };
}

/** Turns off the rules that do not depend on use. */
const nothingKept = { keep: 0, olderThanSeconds: undefined, mayEmptyList: true } as const;
