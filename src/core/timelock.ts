import { type Address, encodeAbiParameters, encodeFunctionData, keccak256, parseAbi, parseAbiParameters } from "viem";
import type { Hex } from "./ids.ts";
import type { PolicyCall } from "./owner-calls.ts";

/** What a proposer and later an executor send to a timelock that owns the contracts. */
export interface TimelockBatch {
  readonly timelock: Address;
  /** What the timelock knows the batch by. */
  readonly operationId: Hex;
  /** Calldata of `scheduleBatch`, from a proposer. */
  readonly schedule: Hex;
  /** Calldata of `executeBatch`, from an executor once the delay is over. */
  readonly execute: Hex;
  readonly delaySeconds: bigint;
}

export interface BuildTimelockBatchParameters {
  readonly calls: readonly PolicyCall[];
  readonly timelock: Address;
  /** At least the timelock's own minimum. */
  readonly delaySeconds: bigint;
  /** Tells the same batch apart when it is scheduled again. */
  readonly salt?: Hex | undefined;
  /** An operation that must be done before, or none. */
  readonly predecessor?: Hex | undefined;
}

const abi = parseAbi([
  "function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay)",
  "function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt) payable",
]);
const operationTypes = parseAbiParameters("address[], uint256[], bytes[], bytes32, bytes32");
const zero: Hex = `0x${"00".repeat(32)}`;

/** Encodes calls for OpenZeppelin's TimelockController: one operation, all or none. */
export function buildTimelockBatch(parameters: BuildTimelockBatchParameters): TimelockBatch {
  const { calls, timelock, delaySeconds, salt = zero, predecessor = zero } = parameters;
  const targets = calls.map(({ to }) => to);
  const values = calls.map(() => 0n);
  const payloads = calls.map(({ data }) => data);
  const operation = [targets, values, payloads, predecessor, salt] as const;
  return {
    timelock,
    operationId: keccak256(encodeAbiParameters(operationTypes, operation)),
    schedule: encodeFunctionData({ abi, functionName: "scheduleBatch", args: [...operation, delaySeconds] }),
    execute: encodeFunctionData({ abi, functionName: "executeBatch", args: operation }),
    delaySeconds,
  };
}
