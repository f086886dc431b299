import { type Address, encodeAbiParameters, encodeFunctionData, keccak256, parseAbi, parseAbiParameters } from "viem";
import type { Hex } from "./ids.ts";
import type { OwnerCall } from "./owner-calls.ts";

/** Calldata for a timelock that owns the contracts: a proposer sends the first call, an executor later the second. */
export interface TimelockBatch {
  readonly timelock: Address;
  /** Id of the batch in the timelock. */
  readonly operationId: Hex;
  /** Calldata of `scheduleBatch`, from a proposer. */
  readonly schedule: Hex;
  /** Calldata of `executeBatch`, from an executor after the delay. */
  readonly execute: Hex;
  readonly delaySeconds: bigint;
}

export interface BuildTimelockBatchParameters {
  readonly calls: readonly OwnerCall[];
  readonly timelock: Address;
  /** At least the timelock's own minimum. */
  readonly delaySeconds: bigint;
  /** Makes the operation id unique if the same batch is scheduled again. */
  readonly salt?: Hex | undefined;
  /** Id of an operation that must be executed first. Default: none. */
  readonly predecessor?: Hex | undefined;
}

const abi = parseAbi([
  "function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay)",
  "function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt) payable",
]);
const operationTypes = parseAbiParameters("address[], uint256[], bytes[], bytes32, bytes32");
const zero: Hex = `0x${"00".repeat(32)}`;

/**
 * Encodes calls as one operation of OpenZeppelin's TimelockController. If one call fails, all revert.
 *
 * @example
 * import { buildTimelockBatch } from "dstack-toolkit/batch";
 * import { calls, timelock } from "./app.js";
 * const { schedule, execute } = buildTimelockBatch({ calls, timelock, delaySeconds: 172_800n });
 */
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
