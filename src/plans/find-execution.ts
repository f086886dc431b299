import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import {
  compareEvents,
  type ExpectedEvent,
  expectedEvents,
  isExpected,
  isUndoneBy,
  type OwnerEvent,
  ownerEvents,
  type WatchedContract,
  watchedContracts,
} from "../core/owner-events.ts";
import { RangeSize } from "../history/block-ranges.ts";
import { compareChanges } from "../history/policy.ts";
import { scanLogs } from "../history/scan-logs.ts";
import type { ChangePlan } from "./change-plan.ts";

export interface FindExecutionParameters {
  readonly plan: Pick<ChangePlan, "changes" | "pinned"> & { readonly owner?: ChangePlan["owner"] };
  readonly signal?: AbortSignal | undefined;
}

/** What the contracts of a plan logged after the plan's block. */
export interface PlanExecution {
  /** The transactions whose events prove every call, in the order of the chain; undefined if an event is missing. */
  readonly transactionHashes: readonly TransactionHash[] | undefined;
  /** Values of the plan that were changed otherwise. */
  readonly contradictions: readonly Contradiction[];
}

export interface Contradiction {
  readonly call: OwnerCall;
  readonly eventName: string;
  readonly transactionHash: TransactionHash;
}

/**
 * Looks in the logs for the events of a plan's calls, made by any account. The endpoint delivers the logs, so
 * this does not prove a transaction: `proveExecution` does.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError
 *
 * @example
 * import { findExecution } from "dstack-toolkit/plans";
 * import { changePlan, client } from "./app.js";
 * const { transactionHashes } = await findExecution(client, { plan: changePlan });
 */
export async function findExecution(
  client: ChainClient,
  { plan: { changes, pinned, owner }, signal }: FindExecutionParameters,
): Promise<PlanExecution> {
  const calls = changes.map(({ call }) => call);
  const expected = expectedEvents(calls, owner?.address);
  const events = await readOwnerEvents(client, {
    ...{ contracts: watchedContracts(calls), fromBlock: pinned.number + 1n, signal },
  });
  const { found, missing } = compareEvents(expected, events.toReversed());
  const proving = new Set(found.map(({ event }) => event.transactionHash));
  const inOrder = [...new Set(events.map(({ transactionHash }) => transactionHash))].filter((hash) =>
    proving.has(hash),
  );
  return {
    transactionHashes: missing.length > 0 || calls.length === 0 ? undefined : inOrder,
    contradictions: findContradictions(calls, { expected, events }),
  };
}

/** A sentence. */
export function describeContradiction({ call, eventName, transactionHash }: Contradiction): string {
  const [value] = call.args;
  const subject = typeof value === "string" ? value : `"${call.description}"`;
  return `${subject} was changed after the plan was made: ${eventName} in transaction ${transactionHash}.`;
}

export interface FindContradictionsParameters {
  readonly expected: readonly ExpectedEvent[];
  /** In the order of the chain. */
  readonly events: readonly PlacedEvent[];
}

/** The first event about each call's value that says the opposite, after the last event of the call itself. */
export function findContradictions(
  calls: readonly OwnerCall[],
  { expected, events }: FindContradictionsParameters,
): readonly Contradiction[] {
  return calls.flatMap((call, position) => {
    const own = expected.filter((event) => event.position === position);
    const last = events.findLastIndex((event) => own.some((one) => isExpected(event, one)));
    const event = events.slice(last + 1).find((one) => isUndoneBy(call, one));
    return event === undefined ? [] : [{ call, eventName: event.eventName, transactionHash: event.transactionHash }];
  });
}

/** An owner event with its place in the chain. */
export interface PlacedEvent extends OwnerEvent {
  readonly transactionHash: TransactionHash;
}

export interface ReadOwnerEventsParameters {
  readonly contracts: readonly WatchedContract[];
  readonly fromBlock: bigint;
  /** @default the latest block */
  readonly toBlock?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

const scanOptions = { concurrency: 4, retryDelayMs: 250 };

/**
 * Reads the owner events of all these contracts, in the order of the chain.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError, the signal's reason
 */
export async function readOwnerEvents(
  client: ChainClient,
  { contracts, fromBlock, signal, ...parameters }: ReadOwnerEventsParameters,
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
      ...{ ...scanOptions, address, ranges: [{ fromBlock, toBlock }], size, signal },
      onLogs: (_, logs) => {
        for (const { blockNumber, transactionHash, ...log } of logs)
          for (const event of ownerEvents([{ ...log, address }], [contract]))
            found.push({ ...event, blockNumber, transactionHash: parseTransactionHash(transactionHash) });
      },
    });
  }
  return found.toSorted(compareChanges);
}
