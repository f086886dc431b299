import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { decodeEvents, type EventLog } from "../core/events.ts";
import { type Hex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";
import { RangeSize } from "../history/block-ranges.ts";
import type { PolicyLog } from "../history/policy.ts";
import { scanLogs } from "../history/scan-logs.ts";
import type { ChangePlan } from "./change-plan.ts";

export interface FindExecutionParameters {
  readonly plan: Pick<ChangePlan, "changes" | "pinned">;
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

const scanOptions = { concurrency: 4, retryDelayMs: 250 };

/**
 * Looks in the logs for the events of a plan's calls, by whomever they were made. The endpoint delivers the logs, so
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
  { plan: { changes, pinned }, signal }: FindExecutionParameters,
): Promise<PlanExecution> {
  const toBlock = await withRpcErrors(client, "reading the latest block", () =>
    getBlockNumber(client, { cacheTime: 0 }),
  );
  const calls = changes.map(({ call }) => call);
  if (toBlock <= pinned.number || calls.length === 0) return { transactionHashes: undefined, contradictions: [] };
  const logs: (PolicyLog & { readonly address: Hex })[] = [];
  for (const address of new Set(calls.map(({ to }) => to)))
    await scanLogs(client, {
      ...{ ...scanOptions, signal, address, size: new RangeSize() },
      ranges: [{ fromBlock: pinned.number + 1n, toBlock }],
      onLogs: (_, found) => logs.push(...found.map((log) => ({ ...log, address }))),
    });
  logs.sort((one, other) => Number(one.blockNumber - other.blockNumber) || one.logIndex - other.logIndex);
  const seen = indexEvents(calls, logs);
  const proofs = calls.map((call) => findProof(seen, call));
  const proving = new Set(proofs);
  return {
    transactionHashes: proving.has(undefined)
      ? undefined
      : [...new Set(logs.map(({ transactionHash }) => parseTransactionHash(transactionHash)))].filter((hash) =>
          proving.has(hash),
        ),
    contradictions: calls.flatMap((call) => findContradictions(seen, call)),
  };
}

/** The transaction of each event, by contract and name, and again by each of its arguments. */
type SeenEvents = ReadonlyMap<string, TransactionHash>;

function keyOf(address: Hex, eventName: string, [name, value]: readonly [string?, unknown?] = []): string {
  return `${address} ${eventName}${name === undefined ? "" : ` ${name} ${String(value).toLowerCase()}`}`;
}

function indexEvents(calls: readonly OwnerCall[], logs: readonly (PolicyLog & EventLog)[]): SeenEvents {
  const seen = new Map<string, TransactionHash>();
  for (const call of new Map(calls.map((each) => [each.to, each])).values())
    for (const log of logs.filter(({ address }) => address === call.to)) {
      const transactionHash = parseTransactionHash(log.transactionHash);
      const receipt = { status: "success", transactionHash, logs: [log] } as const; // a reverted one has no logs
      for (const { eventName = "", args } of decodeEvents(abiOf(call), receipt, call.to))
        for (const entry of [undefined, ...Object.entries({ ...args })])
          seen.set(keyOf(call.to, eventName, entry), transactionHash);
    }
  return seen;
}

/** The last transaction with an event that proves the call. */
function findProof(seen: SeenEvents, { to, proof }: OwnerCall): TransactionHash | undefined {
  const entries = Object.entries(proof.args);
  const found = proof.eventNames.flatMap((name) => {
    const hashes = (entries.length === 0 ? [undefined] : entries).map((entry) => seen.get(keyOf(to, name, entry)));
    return hashes.every((hash) => hash !== undefined && hash === hashes[0]) ? (hashes[0] ?? []) : [];
  });
  return found[0];
}

/** Events that say the opposite of the call's: the same value was removed, or added. */
function findContradictions(seen: SeenEvents, call: OwnerCall): readonly Contradiction[] {
  const [entry] = Object.entries(call.proof.args);
  return call.proof.eventNames.flatMap((name) => {
    const eventName = opposite(name);
    const transactionHash = eventName === undefined ? undefined : seen.get(keyOf(call.to, eventName, entry));
    return eventName === undefined || transactionHash === undefined ? [] : [{ call, eventName, transactionHash }];
  });
}

function opposite(eventName: string): string | undefined {
  if (eventName.endsWith("Added")) return eventName.replace(/Added$/, "Removed");
  return eventName.endsWith("Removed") ? eventName.replace(/Removed$/, "Added") : undefined;
}
