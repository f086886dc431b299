import type { Address } from "viem";
import { getBlockNumber } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { type Hex, parseAppId, type TransactionHash } from "../core/ids.ts";
import { assembleOperation, decodeTimelockLog, type TimelockEvent } from "../core/timelock.ts";
import type { TimelockCall, TimelockOperation } from "../core/timelock-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { RangeSize } from "../history/block-ranges.ts";
import { findCreationBlock } from "../history/creation.ts";
import type { PolicyLog } from "../history/policy.ts";
import { scanLogs } from "../history/scan-logs.ts";

export interface ReadTimelockHistoryParameters {
  readonly timelock: Address;
  /**
   * The first block to read. @default the block in which the timelock was created, which needs an endpoint with old
   * state
   */
  readonly fromBlock?: bigint | undefined;
  /** @default the latest block */
  readonly toBlock?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a timelock logged something. */
export interface LoggedAt {
  readonly blockNumber: bigint;
  readonly transactionHash: TransactionHash;
}

/** An operation as the timelock logged it. */
export interface LoggedOperation {
  readonly id: Hex;
  /** In their order, as the events say. */
  readonly calls: readonly TimelockCall[];
  /** Undefined if the events do not make up the id. The calls above are then not proven. */
  readonly proven: { readonly operation: TimelockOperation; readonly isBatch: boolean } | undefined;
  readonly predecessor: Hex;
  readonly delaySeconds: bigint;
  readonly scheduled: LoggedAt;
  /** Undefined while it is pending. */
  readonly ended: (LoggedAt & { readonly kind: "executed" | "cancelled" }) | undefined;
}

export interface TimelockHistory {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
  /** In the order in which they were last scheduled. */
  readonly operations: readonly LoggedOperation[];
  /** Accounts that were given a role in these blocks. They may have lost it since. */
  readonly grantedTo: readonly Address[];
}

const retryOptions = { retryDelayMs: 250 };
const requestsAtOnce = 16;
/** A chain with no more blocks is read whole where its endpoint has no old state, as a fork of such an endpoint. */
const shortChain = 100_000n;

/**
 * Reads what a timelock logged about its operations. The calls of an operation are proven by its id, which is their
 * hash. That no operation is missing is not proven.
 *
 * @throws InvalidArgumentError if no block is given and the endpoint cannot say when the timelock was created
 * @throws NoContractError, LogsRefusedError, LogsUnavailableError, RpcUnavailableError, the signal's reason
 */
export async function readTimelockHistory(
  client: ChainClient,
  { timelock, signal, ...parameters }: ReadTimelockHistoryParameters,
): Promise<TimelockHistory> {
  const retry = { ...retryOptions, signal };
  const toBlock =
    parameters.toBlock ??
    (await withRpcErrors(client, "reading the latest block", () => getBlockNumber(client, { cacheTime: 0 })));
  const created =
    parameters.fromBlock === undefined
      ? await findCreationBlock(client, { appId: parseAppId(timelock), toBlock, ...retry })
      : undefined;
  const isWhole = parameters.fromBlock === undefined && !created?.isFirst && toBlock <= shortChain;
  const fromBlock = isWhole ? 0n : (parameters.fromBlock ?? created?.block ?? 0n);
  const logs: PolicyLog[] = [];
  if (fromBlock <= toBlock)
    await scanLogs(client, {
      ...{ ...retry, address: timelock, concurrency: requestsAtOnce, size: new RangeSize() },
      ranges: [{ fromBlock, toBlock }],
      onLogs: (_, piece) => logs.push(...piece),
    });
  logs.sort((one, other) => Number(one.blockNumber - other.blockNumber) || one.logIndex - other.logIndex);
  // A timelock logs its roles when it is created. An endpoint without old state may call a later block the first.
  const isShown = created === undefined || isWhole || (created.isFirst && logs[0]?.blockNumber === fromBlock);
  if (!isShown) throw noCreation(timelock);
  return { fromBlock, toBlock, ...collect(logs) };
}

function noCreation(timelock: Address): InvalidArgumentError {
  return new InvalidArgumentError(`The endpoint does not show when the timelock ${timelock} was created.`, {
    nextStep: "Give `fromBlock`, a block before its creation, or use an endpoint that serves old state.",
    context: { timelock },
  });
}

interface Scheduling {
  readonly id: Hex;
  readonly calls: Map<bigint, TimelockCall>;
  readonly predecessor: Hex;
  readonly delaySeconds: bigint;
  readonly scheduled: LoggedAt;
  salt: Hex | undefined;
  ended: LoggedOperation["ended"];
}

function collect(logs: readonly PolicyLog[]): Pick<TimelockHistory, "operations" | "grantedTo"> {
  const byId = new Map<Hex, Scheduling>();
  const grantedTo = new Set<Address>();
  for (const { blockNumber, transactionHash, ...log } of logs) {
    const event = decodeTimelockLog(log);
    const at = { blockNumber, transactionHash: transactionHash as TransactionHash }; // the scan matched its form
    if (event?.kind === "roleGranted") grantedTo.add(event.account);
    else if (event?.kind === "scheduled") noteCall(byId, event, at);
    else if (event !== undefined) noteEvent(byId.get(event.id), event, at);
  }
  return { operations: [...byId.values()].map(toOperation), grantedTo: [...grantedTo] };
}

function noteCall(
  byId: Map<Hex, Scheduling>,
  { id, index, call, predecessor, delaySeconds }: Extract<TimelockEvent, { kind: "scheduled" }>,
  at: LoggedAt,
): void {
  const known = byId.get(id);
  if (known !== undefined && known.ended === undefined && index !== 0n) {
    known.calls.set(index, call);
    return;
  }
  byId.delete(id); // A cancelled operation may be scheduled again. The new one is the last of the map.
  byId.set(id, {
    ...{ id, predecessor, delaySeconds, scheduled: at, salt: undefined, ended: undefined },
    calls: new Map([[index, call]]),
  });
}

function noteEvent(
  operation: Scheduling | undefined,
  event: Extract<TimelockEvent, { kind: "salt" | "executed" | "cancelled" }>,
  at: LoggedAt,
): void {
  if (operation === undefined) return;
  if (event.kind === "salt") operation.salt = event.salt;
  else operation.ended = { ...at, kind: event.kind };
}

function toOperation({ salt, calls: byIndex, ...operation }: Scheduling): LoggedOperation {
  const calls = [...byIndex].sort(([one], [other]) => Number(one - other)).map(([, call]) => call);
  const { id, predecessor } = operation;
  return { ...operation, calls, proven: assembleOperation(id, { calls, predecessor, salt }) };
}

/** An operation that waits or may be executed, with its state in one block. */
export interface PendingOperation extends LoggedOperation {
  readonly state: "waiting" | "ready";
  /** Seconds since the epoch. */
  readonly readyAt: bigint;
}
