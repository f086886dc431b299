import { type Address, encodeAbiParameters, keccak256, parseAbi, parseAbiParameters } from "viem";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import type { Hex } from "./ids.ts";

/** The part of OpenZeppelin's TimelockController that this package calls, and its events and errors. */
export const timelockAbi = parseAbi([
  "function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay)",
  "function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay)",
  "function execute(address target, uint256 value, bytes payload, bytes32 predecessor, bytes32 salt) payable",
  "function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt) payable",
  "function cancel(bytes32 id)",
  "function getTimestamp(bytes32 id) view returns (uint256)",
  "function getMinDelay() view returns (uint256)",
  "function isOperation(bytes32 id) view returns (bool)",
  "function isOperationPending(bytes32 id) view returns (bool)",
  "function isOperationDone(bytes32 id) view returns (bool)",
  "function hasRole(bytes32 role, address account) view returns (bool)",
  "function CANCELLER_ROLE() view returns (bytes32)",
  "event CallScheduled(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data, bytes32 predecessor, uint256 delay)",
  "event CallExecuted(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data)",
  "event CallSalt(bytes32 indexed id, bytes32 salt)",
  "event Cancelled(bytes32 indexed id)",
  "event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)",
  "error TimelockInvalidOperationLength(uint256 targets, uint256 payloads, uint256 values)",
  "error TimelockInsufficientDelay(uint256 delay, uint256 minDelay)",
  "error TimelockUnexpectedOperationState(bytes32 operationId, bytes32 expectedStates)",
  "error TimelockUnexecutedPredecessor(bytes32 predecessorId)",
  "error TimelockUnauthorizedCaller(address caller)",
  "error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)",
]);

/**
 * With the errors of the contracts that an operation calls, because the timelock passes them on. Without the error of
 * the owner check: it is about the called contract, not about the timelock.
 */
export const timelockAbiWithCalledErrors = [
  ...timelockAbi,
  ...[...dstackAppAbi, ...dstackKmsAbi].filter(
    (item) => item.type === "error" && item.name !== "OwnableUnauthorizedAccount",
  ),
];

/** One call of an operation. */
export interface TimelockCall {
  /** Lower case, as all hex of an operation. */
  readonly to: Address;
  readonly value: bigint;
  readonly data: Hex;
}

/** What a timelock keeps under one id: calls that it makes together, in this order. */
export interface TimelockOperation {
  readonly calls: readonly TimelockCall[];
  /** Id of the operation that must be executed before; zero for none. */
  readonly predecessor: Hex;
  readonly salt: Hex;
}

export const noPredecessor: Hex = `0x${"00".repeat(32)}`;

/** A call of a timelock, as its calldata says. */
export type TimelockRequest =
  | {
      readonly kind: "schedule";
      readonly id: Hex;
      readonly operation: TimelockOperation;
      readonly delaySeconds: bigint;
    }
  | { readonly kind: "execute"; readonly id: Hex; readonly operation: TimelockOperation }
  | { readonly kind: "cancel"; readonly id: Hex };

const batchTypes = parseAbiParameters("address[], uint256[], bytes[], bytes32, bytes32");
const singleTypes = parseAbiParameters("address, uint256, bytes, bytes32, bytes32");

/** The id that `scheduleBatch` gives: the contract's `hashOperationBatch`. */
export function hashOperationBatch({ calls, predecessor, salt }: TimelockOperation): Hex {
  const targets = calls.map(({ to }) => to);
  const values = calls.map(({ value }) => value);
  const payloads = calls.map(({ data }) => data);
  return keccak256(encodeAbiParameters(batchTypes, [targets, values, payloads, predecessor, salt]));
}

/** The id that `schedule` gives to a single call: the contract's `hashOperation`. Undefined for several calls. */
export function hashOperation({ calls: [call, ...more], predecessor, salt }: TimelockOperation): Hex | undefined {
  if (call === undefined || more.length > 0) return undefined;
  return keccak256(encodeAbiParameters(singleTypes, [call.to, call.value, call.data, predecessor, salt]));
}

/**
 * Reads a decoded function call. Undefined for functions that are not about one operation.
 *
 * @throws TypeError if the lists of a batch differ in length; the timelock refuses such a batch
 */
export function readRequest(functionName: string, args: readonly unknown[]): TimelockRequest | undefined {
  if (functionName === "cancel") return { kind: "cancel", id: args[0] as Hex }; // by the ABI, as below
  const [kind] = /^(?:schedule|execute)/.exec(functionName) ?? [];
  if (kind === undefined) return undefined;
  const isBatch = functionName.endsWith("Batch");
  const [to, value, data, predecessor, salt, delaySeconds = 0n] = args as [
    unknown,
    unknown,
    unknown,
    Hex,
    Hex,
    bigint?,
  ];
  const operation = { calls: isBatch ? zip(to, value, data) : zip([to], [value], [data]), predecessor, salt };
  const id = isBatch ? hashOperationBatch(operation) : (hashOperation(operation) ?? noPredecessor);
  return kind === "schedule" ? { kind, id, operation, delaySeconds } : { kind: "execute", id, operation };
}

function zip(targets: unknown, values: unknown, payloads: unknown): readonly TimelockCall[] {
  const [to, value, data] = [targets as Address[], values as bigint[], payloads as Hex[]];
  if (to.length !== value.length || to.length !== data.length) throw new TypeError("The lists differ in length.");
  return to.map((target, index) => ({
    to: lowerCase(target),
    value: value[index] ?? 0n,
    data: lowerCase(data[index] ?? "0x"),
  }));
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}

/** "2 days", "1 day 12 hours", "90 seconds": exact, because owners sign it. */
export function describeDelay(seconds: bigint): string {
  let rest = seconds;
  const parts = units.flatMap(([size, unit]) => {
    const count = rest / size;
    rest %= size;
    return count === 0n ? [] : [`${count} ${unit}${count === 1n ? "" : "s"}`];
  });
  return parts.length === 0 ? "no time" : parts.join(" ");
}

const units = [
  [86_400n, "day"],
  [3_600n, "hour"],
  [60n, "minute"],
  [1n, "second"],
] as const;

/**
 * The functions of a timelock that this package calls, for the table of owner functions.
 *
 * @param describeCall words for one call of an operation. Throws for a call that this package does not make.
 */
export function timelockFunctions(describeCall: (call: TimelockCall) => string) {
  const inWords = (request: TimelockRequest) => {
    if (request.kind === "cancel") return `cancel operation ${request.id}`;
    const calls = request.operation.calls.map(describeCall).join("; ");
    const what = request.kind === "execute" ? "execute" : `schedule, to wait ${describeDelay(request.delaySeconds)}`;
    return `${what}: ${calls}`;
  };
  const row = (functionName: string, eventName: string) => {
    const read = (args: readonly unknown[]) => {
      const request = readRequest(functionName, args);
      if (request === undefined) throw new TypeError(`${functionName} is not about an operation.`);
      return request;
    };
    return {
      eventNames: [eventName],
      provenBy: (args: readonly unknown[]) => ({ id: read(args).id }),
      describe: (args: readonly unknown[]) => inWords(read(args)),
    };
  };
  return {
    schedule: row("schedule", "CallScheduled"),
    scheduleBatch: row("scheduleBatch", "CallScheduled"),
    execute: row("execute", "CallExecuted"),
    executeBatch: row("executeBatch", "CallExecuted"),
    cancel: row("cancel", "Cancelled"),
  };
}
