import { type ChainClient, requireChain } from "../chain/client.ts";
import type { TransactionHash } from "../core/ids.ts";
import { compareEvents, type ExpectedEvent, expectedEvents } from "../core/owner-events.ts";
import type { ChangePlan, PlannedChange } from "../plans/change-plan.ts";
import { findContradictions, type PlacedEvent, readOwnerEvents } from "../plans/find-execution.ts";
import {
  contractsOf,
  type ExecutablePlan,
  type ProveExecutionParameters,
  type ProvenExecution,
  proveExecution,
  type RefusedExecution,
} from "./prove-execution.ts";

export interface FindProvenExecutionParameters extends Pick<ProveExecutionParameters, "safeTxHash" | "operationId"> {
  /** @default the latest block */
  readonly toBlock?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the planned contracts logged since the plan was made. */
export type FoundExecution =
  | (ProvenExecution & {
      /** In the order of the chain. Several if a key sent the calls one by one. */
      readonly transactions: readonly TransactionHash[];
      /** Planned changes that a later event took back. */
      readonly undone: readonly PlannedChange[];
    })
  /** Some of the planned changes were made, but no transactions made them all in the way of the plan. */
  | {
      readonly kind: "partly-applied";
      readonly done: readonly PlannedChange[];
      readonly open: readonly PlannedChange[];
      readonly undone: readonly PlannedChange[];
      readonly transactions: readonly TransactionHash[];
    }
  /** A transaction made all planned changes, but not as the plan says. */
  | RefusedExecution
  | { readonly kind: "not-applied" };

/**
 * Finds the transaction that executed a plan, by the events of the planned contracts after the plan's pinned block.
 * Also tells if only some of the planned changes were made, or if they were taken back since. Trusts the endpoint for
 * the logs.
 *
 * @throws WrongChainError, LogsRefusedError, LogsUnavailableError, RpcUnavailableError, the signal's reason
 */
export async function findProvenExecution(
  client: ChainClient,
  plan: ExecutablePlan & Pick<ChangePlan, "pinned">,
  { toBlock, signal, ...demands }: FindProvenExecutionParameters = {},
): Promise<FoundExecution> {
  await requireChain(client, plan.chainId);
  const calls = plan.changes.map(({ call }) => call);
  const contracts = contractsOf({ contracts: plan.contracts, calls });
  const expected = expectedEvents(calls, plan.owner.address);
  const fromBlock = plan.pinned.number + 1n;
  const events = await readOwnerEvents(client, { contracts, fromBlock, toBlock, signal });
  const contradictions = findContradictions(calls, { expected, events });
  const contradicted = plan.changes.filter((change) => contradictions.some(({ call }) => call === change.call));
  let refused: RefusedExecution | undefined;
  for (const transactionHash of new Set(events.map((event) => event.transactionHash))) {
    const own = events.filter((event) => event.transactionHash === transactionHash);
    if (compareEvents(expected, own).missing.length > 0) continue;
    const verdict = await proveExecution(client, plan, { transactionHash, ...demands });
    if (verdict.kind === "applied") return { ...verdict, transactions: [transactionHash], undone: contradicted };
    refused = verdict;
  }
  if (refused !== undefined) return refused;
  const isDemanding = demands.safeTxHash !== undefined || demands.operationId !== undefined;
  return findParts(client, plan, { events, expected, contradicted, isDemanding });
}

interface FindPartsParameters {
  readonly events: readonly PlacedEvent[];
  readonly expected: readonly ExpectedEvent[];
  /** Planned changes after which the value was changed otherwise. */
  readonly contradicted: readonly PlannedChange[];
  /** Whether the caller names the Safe transaction or the operation, which is one. */
  readonly isDemanding: boolean;
}

async function findParts(
  client: ChainClient,
  plan: ExecutablePlan,
  { events, expected, contradicted, isDemanding }: FindPartsParameters,
): Promise<FoundExecution> {
  const { found, missing } = compareEvents(expected, events);
  const isMade = (_: PlannedChange, position: number) => missing.every((event) => event.position !== position);
  const made = plan.changes.filter(isMade);
  const undone = made.filter((change) => contradicted.includes(change));
  const transactions = [...new Set(found.map(({ event }) => event.transactionHash))];
  if (made.length === 0) return { kind: "not-applied" };
  const open = plan.changes.filter((change) => !made.includes(change));
  const done = made.filter((change) => !undone.includes(change));
  if (open.length > 0 || undone.length > 0 || isDemanding) {
    return { kind: "partly-applied", done, open, undone, transactions };
  }
  let last: ProvenExecution | undefined;
  for (const transactionHash of transactions) {
    const positions = found.filter(({ event }) => event.transactionHash === transactionHash);
    const changes = plan.changes.filter((_, index) => positions.some(({ position }) => position === index));
    const verdict = await proveExecution(client, { ...plan, changes }, { transactionHash });
    if (verdict.kind === "refused") return verdict;
    last = verdict;
  }
  return last === undefined ? { kind: "not-applied" } : { ...last, transactions, undone };
}
