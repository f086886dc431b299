import type { TransactionReceipt } from "viem";
import { readChainIdentity } from "../chain/transactions/chain-identity.ts";
import { waitForStage } from "../chain/transactions/finality.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { readReceipt } from "../chain/transactions/receipt.ts";
import { type AppId, type ComposeHash, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { addComposeHashCall, type OwnerCall, proveCalls } from "../core/owner-calls.ts";
import { describeEvent, ownerEvents, watchedContracts } from "../core/owner-events.ts";
import { ExecutionNotProvenError, InvalidArgumentError, ReceiptMismatchError } from "../errors/index.ts";
import { findProvenExecution } from "../governance/find-execution.ts";
import { type ProvenExecution, proveExecution } from "../governance/prove-execution.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { findExecution } from "../plans/find-execution.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { TaskIo } from "./run.ts";
import { showEvents } from "./sending.ts";

type PlanOfApp = ChangePlan & { readonly appId: AppId };

export interface TransactionSource {
  readonly app: ConnectedApp;
  readonly ledger: Ledger;
}

/** How often a transaction is looked for again that a reorganisation moved. */
const mostLooks = 5;

/**
 * Finds the transaction that allowed a hash: named by the user, in the ledger, or in the app's logs. Waits until it is as
 * final as the user asked for, so that a reorganisation does not undo what the cloud has started.
 */
export function createFindTransaction(io: TaskIo, plan: PlanOfApp, source: TransactionSource) {
  const { client, chainId, choices } = source.app;
  const final = new Set<TransactionHash>();
  return async (composeHash: ComposeHash): Promise<TransactionHash | undefined> => {
    const identity = await readChainIdentity(client, chainId);
    const settings = { pollIntervalMs: client.pollingInterval, signal: io.signal, onEvent: showEvents(io) };
    for (let look = 1; ; look += 1) {
      const receipt = await findReceipt(plan, source, composeHash);
      if (receipt === undefined) return undefined;
      const transactionHash = parseTransactionHash(receipt.transactionHash);
      if (final.has(transactionHash)) return transactionHash;
      const isFinal = await waitForStage({ client, identity, settings }, receipt, choices);
      if (!isFinal && look < mostLooks) continue;
      final.add(transactionHash);
      await requirePlanned(io, plan, { client, transactionHash, isNamed: choices.transactionHash !== undefined });
      return transactionHash;
    }
  };
}

interface FoundTransaction {
  readonly client: ConnectedApp["client"];
  readonly transactionHash: TransactionHash;
  /** Whether the user named it. */
  readonly isNamed: boolean;
}

/**
 * Proves that the owner executed exactly the plan, and tells by what. Calls that were sent one by one are proven one by
 * one, unless the user named a transaction.
 *
 * @throws ExecutionNotProvenError
 */
async function requirePlanned(io: TaskIo, plan: PlanOfApp, { client, transactionHash, isNamed }: FoundTransaction) {
  const isOne = isNamed && plan.owner.kind !== "key";
  const own = await proveExecution(client, plan, { transactionHash });
  if (own.kind === "applied") return showMaker(io, own);
  const verdict = isOne ? own : await findProvenExecution(client, plan, { signal: io.signal });
  if (verdict.kind === "applied") return showMaker(io, verdict);
  const { reason, message } = verdict.kind === "refused" ? verdict : own;
  throw new ExecutionNotProvenError(message, { reason, transactionHash });
}

function showMaker({ output }: TaskIo, { safeTxHash, operationId }: ProvenExecution): void {
  if (safeTxHash !== undefined) output.detail("executed by", `Safe transaction ${safeTxHash}`);
  else if (operationId !== undefined) output.detail("executed by", `operation ${operationId}`);
}

/** @throws InvalidArgumentError if the user named a transaction that did not allow the hash */
async function findReceipt(
  { appId, changes, pinned }: PlanOfApp,
  { app: { client, choices }, ledger }: TransactionSource,
  composeHash: ComposeHash,
): Promise<TransactionReceipt | undefined> {
  const call = addComposeHashCall({ appId, composeHash });
  const own = changes.filter(({ call: { data } }) => data === call.data);
  if (own.length === 0) return undefined; // the app allowed the hash before the plan
  const recorded = ledger.transactions({ calls: [call], states: ["mined"] }).at(-1)?.proof?.transactionHash;
  const known = choices.transactionHash ?? recorded;
  const receipt = known === undefined ? undefined : await readReceipt(client, known);
  if (receipt === undefined && choices.transactionHash !== undefined) {
    throw new InvalidArgumentError(`The chain has no mined transaction ${choices.transactionHash}.`, {
      nextStep: "Check --transaction-hash and --network, or omit --transaction-hash.",
      context: { transactionHash: choices.transactionHash },
    });
  }
  const findLogged = async () => {
    const { transactionHashes } = await findExecution(client, { plan: { changes: own, pinned } });
    return transactionHashes?.at(-1);
  };
  if (receipt !== undefined && choices.transactionHash !== undefined && !isProven(receipt, call))
    throw anotherTransaction(receipt, call, await findLogged().catch(() => undefined));
  if (receipt !== undefined) return proven(receipt, call);
  const found = await findLogged();
  const ofOwners = found === undefined ? undefined : await readReceipt(client, found);
  return ofOwners && proven(ofOwners, call);
}

/** The endpoint's logs prove nothing: the receipt must have the event. */
function proven(receipt: TransactionReceipt, call: OwnerCall): TransactionReceipt {
  proveCalls(receipt, [call]);
  return receipt;
}

function isProven(receipt: TransactionReceipt, call: OwnerCall): boolean {
  try {
    proveCalls(receipt, [call]);
    return true;
  } catch (error) {
    if (error instanceof ReceiptMismatchError) return false;
    throw error;
  }
}

/** @param right the transaction that the app's logs show instead, if they show one */
function anotherTransaction(
  { transactionHash, logs, status }: TransactionReceipt,
  call: OwnerCall,
  right: TransactionHash | undefined,
): InvalidArgumentError {
  const events = ownerEvents(logs, watchedContracts([call])).map(describeEvent);
  const logged = events.length === 0 ? `logged no change of ${call.to}` : `logged ${events.join(" and ")}`;
  const what = status === "reverted" ? "reverted" : logged;
  const correct = right === undefined ? "" : `Give the one that did: --transaction-hash ${right}. Or `;
  return new InvalidArgumentError(
    `Transaction ${transactionHash} did not ${call.description} on ${call.to}: it ${what}.`,
    {
      nextStep: `Nothing was committed. ${correct}${right === undefined ? "Omit" : "omit"} --transaction-hash: the transaction is then found in the app's logs.`,
      context: { transactionHash, events, expected: call.description, found: right ?? null },
    },
  );
}
