import { type Abi, type Address, decodeFunctionData, encodeFunctionData } from "viem";
import { decodeLog, type EventLog } from "./events.ts";
import type { Hex } from "./ids.ts";
import { buildOwnerCall, type OwnerCall } from "./owner-calls.ts";
import {
  hashOperation,
  hashOperationBatch,
  noPredecessor,
  readRequest,
  type TimelockCall,
  type TimelockOperation,
  type TimelockRequest,
  timelockAbi,
} from "./timelock-calls.ts";

/** Calldata for a timelock that owns the contracts: a proposer sends the first call, an executor later the second. */
export interface TimelockBatch {
  readonly timelock: Address;
  /** Id of the batch in the timelock. */
  readonly operationId: Hex;
  /** Calldata of `scheduleBatch`, from a proposer. */
  readonly schedule: Hex;
  /** Calldata of `executeBatch`, from an executor after the delay. */
  readonly execute: Hex;
  /** Calldata of `cancel`, from a canceller until the execution. */
  readonly cancel: Hex;
  readonly delaySeconds: bigint;
}

export interface BuildTimelockBatchParameters {
  readonly calls: readonly OwnerCall[];
  readonly timelock: Address;
  /** At least the timelock's own minimum. */
  readonly delaySeconds: bigint;
  /** Makes the operation id unique if the same batch is scheduled again. Default: zero, so the same batch has one id. */
  readonly salt?: Hex | undefined;
  /** Id of an operation that must be executed first. Default: none. */
  readonly predecessor?: Hex | undefined;
}

/**
 * Encodes calls as one operation of OpenZeppelin's TimelockController. If one call fails, all revert.
 *
 * @example
 * import { buildTimelockBatch } from "dstack-toolkit/batch";
 * import { calls, timelock } from "./app.js";
 * const { schedule, execute } = buildTimelockBatch({ calls, timelock, delaySeconds: 172_800n });
 */
export function buildTimelockBatch({ calls, ...parameters }: BuildTimelockBatchParameters): TimelockBatch {
  const { timelock, delaySeconds, salt = noPredecessor, predecessor = noPredecessor } = parameters;
  const operation = operationOf({ calls, predecessor, salt });
  return {
    timelock,
    operationId: hashOperationBatch(operation),
    schedule: scheduleCall({ timelock, operation, delaySeconds }).data,
    execute: executeCall({ timelock, operation }).data,
    cancel: cancelCall({ timelock, id: hashOperationBatch(operation) }).data,
    delaySeconds,
  };
}

/** An operation of these calls. */
export function operationOf({
  calls,
  predecessor,
  salt,
}: Omit<TimelockOperation, "calls"> & { readonly calls: readonly OwnerCall[] }): TimelockOperation {
  return { calls: calls.map(({ to, data }) => ({ to, value: 0n, data })), predecessor, salt };
}

interface InTimelock {
  readonly timelock: Address;
}

/** The call of a proposer. @throws TypeError if the operation holds a call that this package does not make */
export function scheduleCall({
  timelock,
  operation,
  delaySeconds,
}: InTimelock & { readonly operation: TimelockOperation; readonly delaySeconds: bigint }): OwnerCall {
  return inTimelock(timelock, "scheduleBatch", [...argumentsOf(operation), delaySeconds]);
}

/**
 * The call of an executor.
 *
 * @param isBatch false for an operation that `schedule` scheduled as a single call
 * @throws TypeError if the operation holds a call that this package does not make
 */
export function executeCall({
  timelock,
  operation,
  isBatch = true,
}: InTimelock & { readonly operation: TimelockOperation; readonly isBatch?: boolean }): OwnerCall {
  const [call] = operation.calls;
  if (isBatch || call === undefined) return inTimelock(timelock, "executeBatch", argumentsOf(operation));
  const { predecessor, salt } = operation;
  return inTimelock(timelock, "execute", [call.to, call.value, call.data, predecessor, salt]);
}

/** The call of a canceller. */
export function cancelCall({ timelock, id }: InTimelock & { readonly id: Hex }): OwnerCall {
  return inTimelock(timelock, "cancel", [id]);
}

function inTimelock(timelock: Address, functionName: string, args: readonly unknown[]): OwnerCall {
  return buildOwnerCall({ contract: "timelock", to: timelock, functionName, args });
}

function argumentsOf({ calls, predecessor, salt }: TimelockOperation): readonly unknown[] {
  return [calls.map(({ to }) => to), calls.map(({ value }) => value), calls.map(({ data }) => data), predecessor, salt];
}

/**
 * Decodes calldata that schedules, executes or cancels an operation. Returns undefined for every other function, and if
 * the bytes are not exactly the encoding of one.
 */
export function decodeTimelockRequest(data: Hex): TimelockRequest | undefined {
  try {
    const { functionName, args = [] } = decodeFunctionData<Abi>({ abi: timelockAbi, data });
    const encoded = encodeFunctionData<Abi>({ abi: timelockAbi, functionName, args });
    return encoded === data.toLowerCase() ? readRequest(functionName, args) : undefined;
  } catch {
    return undefined;
  }
}

/** What a timelock logs about its operations and its roles. */
export type TimelockEvent =
  | {
      readonly kind: "scheduled";
      readonly id: Hex;
      /** Position of the call in its operation. */
      readonly index: bigint;
      readonly call: TimelockCall;
      readonly predecessor: Hex;
      readonly delaySeconds: bigint;
    }
  /** Not logged for a salt of zero, nor by versions before 4.9. */
  | { readonly kind: "salt"; readonly id: Hex; readonly salt: Hex }
  | { readonly kind: "executed"; readonly id: Hex; readonly index: bigint; readonly call: TimelockCall }
  | { readonly kind: "cancelled"; readonly id: Hex }
  | { readonly kind: "roleGranted"; readonly role: Hex; readonly account: Address };

/** Decodes a timelock's log. Undefined for other events, and if the log is not exactly the encoding of one. */
export function decodeTimelockLog(log: Pick<EventLog, "topics" | "data">): TimelockEvent | undefined {
  const event = decodeLog(timelockAbi, log);
  switch (event?.eventName) {
    case "CallScheduled": {
      const { id, index, predecessor, delay } = event.args;
      return { kind: "scheduled", id, index, call: callOf(event.args), predecessor, delaySeconds: delay };
    }
    case "CallExecuted":
      return { kind: "executed", id: event.args.id, index: event.args.index, call: callOf(event.args) };
    case "CallSalt":
      return { kind: "salt", ...event.args };
    case "Cancelled":
      return { kind: "cancelled", ...event.args };
    case "RoleGranted":
      return { kind: "roleGranted", role: event.args.role, account: event.args.account };
    default:
      return undefined;
  }
}

function callOf({ target, value, data }: { readonly target: Address; readonly value: bigint; readonly data: Hex }) {
  return { to: `0x${target.slice(2).toLowerCase()}` as const, value, data };
}

/**
 * The operation whose id is `id`, from the events of its scheduling. Undefined if they do not make up that id: an event
 * is missing or invented, or a version before 4.9 did not log its salt.
 */
export function assembleOperation(
  id: Hex,
  { calls, predecessor, salt = noPredecessor }: Omit<TimelockOperation, "salt"> & { readonly salt?: Hex | undefined },
): { readonly operation: TimelockOperation; readonly isBatch: boolean } | undefined {
  const operation = { calls, predecessor, salt };
  if (hashOperationBatch(operation) === id) return { operation, isBatch: true };
  return hashOperation(operation) === id ? { operation, isBatch: false } : undefined;
}
