import { getBlockNumber } from "viem/actions";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import {
  compareEvents,
  type ExpectedEvent,
  expectedEvents,
  isUndoneBy,
  type OwnerEvent,
  ownerEvents,
  type WatchedContract,
} from "../core/owner-events.ts";
import { RangeSize } from "../history/block-ranges.ts";
import { compareChanges } from "../history/policy.ts";
import { scanLogs } from "../history/scan-logs.ts";
import type { ChangePlan, PlannedChange } from "../plans/change-plan.ts";
import {
  contractsOf,
  type ExecutablePlan,
  type ProveExecutionParameters,
  type ProvenExecution,
  proveExecution,
  type RefusedExecution,
} from "./prove-execution.ts";

export interface FindExecutionParameters extends Pick<ProveExecutionParameters, "safeTxHash" | "operationId"> {
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

/** An event with its place in the chain. */
interface PlacedEvent extends OwnerEvent {
  readonly transactionHash: TransactionHash;
}

/**
 * Finds the transaction that executed a plan, by the events of the planned contracts after the plan's pinned block.
 * Also tells if only some of the planned changes were made, or if they were taken back since. Trusts the endpoint for
 * the logs.
 *
 * @throws WrongChainError, LogsRefusedError, LogsUnavailableError, RpcUnavailableError, the signal's reason
 */
export async function findExecution(
  client: ChainClient,
  plan: ExecutablePlan & Pick<ChangePlan, "pinned">,
  { toBlock, signal, ...demands }: FindExecutionParameters = {},
): Promise<FoundExecution> {
  await requireChain(client, plan.chainId);
  const calls = plan.changes.map(({ call }) => call);
  const contracts = contractsOf({ contracts: plan.contracts, calls });
  const expected = expectedEvents(calls, plan.owner.address);
  const fromBlock = plan.pinned.number + 1n;
  const events = await readOwnerEvents(client, { contracts, fromBlock, toBlock, signal });
  let refused: RefusedExecution | undefined;
  for (const transactionHash of new Set(events.map((event) => event.transactionHash))) {
    const own = events.filter((event) => event.transactionHash === transactionHash);
    if (compareEvents(expected, own).missing.length > 0) continue;
    const verdict = await proveExecution(client, plan, { transactionHash, ...demands });
    if (verdict.kind === "applied") {
      const end = events.findLastIndex((event) => event.transactionHash === transactionHash);
      return { ...verdict, transactions: [transactionHash], undone: undoneAfter(plan.changes, events, end) };
    }
    refused = verdict;
  }
  if (refused !== undefined) return refused;
  return findParts(client, plan, { events, expected, isDemanding: Object.values(demands).some(Boolean) });
}

function undoneAfter(
  changes: readonly PlannedChange[],
  events: readonly OwnerEvent[],
  index: number,
): readonly PlannedChange[] {
  return changes.filter(({ call }) => events.slice(index + 1).some((event) => isUndoneBy(call, event)));
}

interface FindPartsParameters {
  readonly events: readonly PlacedEvent[];
  readonly expected: readonly ExpectedEvent[];
  /** Whether the caller names the Safe transaction or the operation, which is one. */
  readonly isDemanding: boolean;
}

async function findParts(
  client: ChainClient,
  plan: ExecutablePlan,
  { events, expected, isDemanding }: FindPartsParameters,
): Promise<FoundExecution> {
  const { found, missing } = compareEvents(expected, events);
  const isMade = (_: PlannedChange, position: number) => missing.every((event) => event.position !== position);
  const made = plan.changes.filter(isMade);
  const undone = made.filter((change) => {
    const position = plan.changes.indexOf(change);
    const last = Math.max(
      ...found.filter((one) => one.position === position).map(({ event }) => events.indexOf(event)),
    );
    return undoneAfter([change], events, last).length > 0;
  });
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

const requestsAtOnce = 8;
const retryDelayMs = 250;

interface ReadEventsParameters extends Pick<FindExecutionParameters, "toBlock" | "signal"> {
  readonly contracts: readonly WatchedContract[];
  readonly fromBlock: bigint;
}

/** The owner events of all these contracts, in the order of the chain. */
async function readOwnerEvents(
  client: ChainClient,
  { contracts, fromBlock, signal, ...parameters }: ReadEventsParameters,
): Promise<readonly PlacedEvent[]> {
  const toBlock =
    parameters.toBlock ??
    (await withRpcErrors(client, "reading the latest block", () => getBlockNumber(client, { cacheTime: 0 })));
  if (toBlock < fromBlock) return [];
  const found: (PlacedEvent & { readonly blockNumber: bigint })[] = [];
  const size = new RangeSize();
  for (const contract of contracts) {
    const { address } = contract;
    await scanLogs(client, {
      ...{ address, ranges: [{ fromBlock, toBlock }], concurrency: requestsAtOnce, size, retryDelayMs, signal },
      onLogs: (_, logs) => {
        for (const { blockNumber, transactionHash, ...log } of logs)
          for (const event of ownerEvents([{ ...log, address }], [contract]))
            found.push({ ...event, blockNumber, transactionHash: parseTransactionHash(transactionHash) });
      },
    });
  }
  return found.toSorted(compareChanges);
}
