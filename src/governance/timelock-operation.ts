import {
  type Abi,
  type Address,
  decodeFunctionResult,
  encodeFunctionData,
  keccak256,
  stringToHex,
  zeroAddress,
} from "viem";
import { getBlock } from "viem/actions";
import { callMany } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import { requireCode } from "../chain/code.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import type { Hex } from "../core/ids.ts";
import { timelockAbi } from "../core/timelock-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";

export interface ReadTimelockParameters {
  readonly timelock: Address;
  /** Ids of operations. */
  readonly ids?: readonly Hex[] | undefined;
  /** Accounts whose roles to read. */
  readonly accounts?: readonly Address[] | undefined;
  /** @default the latest block */
  readonly blockNumber?: bigint | undefined;
}

/**
 * `unset`: never scheduled, or cancelled. `waiting`: its delay has not passed. `ready`: it may be executed, if its
 * predecessor is done. `done`: executed.
 */
export type OperationState = "unset" | "waiting" | "ready" | "done";

export interface OperationStatus {
  readonly id: Hex;
  readonly state: OperationState;
  /** Seconds since the epoch. Undefined unless it is waiting or ready. */
  readonly readyAt: bigint | undefined;
}

export interface TimelockRoles {
  readonly account: Address;
  readonly canPropose: boolean;
  readonly canExecute: boolean;
  readonly canCancel: boolean;
}

/** All of one block. */
export interface TimelockStatus {
  readonly timelock: Address;
  readonly blockNumber: bigint;
  /** The block's time, in seconds since the epoch. */
  readonly blockTime: bigint;
  readonly minDelaySeconds: bigint;
  /** Whether every account may execute. */
  readonly isExecutorOpen: boolean;
  /** In the order of `ids`. */
  readonly operations: readonly OperationStatus[];
  /** In the order of `accounts`. */
  readonly roles: readonly TimelockRoles[];
}

export const timelockRoles = {
  proposer: keccak256(stringToHex("PROPOSER_ROLE")),
  executor: keccak256(stringToHex("EXECUTOR_ROLE")),
  canceller: keccak256(stringToHex("CANCELLER_ROLE")),
} as const;

/** The timestamp that marks an executed operation. */
const doneTimestamp = 1n;

/**
 * Reads a timelock of OpenZeppelin: its minimum delay, the state of operations, and what accounts may do.
 *
 * @throws NoContractError, InvalidArgumentError if the contract does not answer like a TimelockController
 * @throws RpcUnavailableError
 */
export async function readTimelock(client: ChainClient, parameters: ReadTimelockParameters): Promise<TimelockStatus> {
  const { timelock, ids = [], accounts = [], blockNumber: wanted } = parameters;
  await requireCode(client, { address: timelock });
  const hasRole = (role: Hex, account: Address) => ({ functionName: "hasRole", args: [role, account] });
  const views = [
    { functionName: "getMinDelay", args: [] },
    { functionName: "CANCELLER_ROLE", args: [] },
    hasRole(timelockRoles.executor, zeroAddress),
    ...ids.map((id) => ({ functionName: "getTimestamp", args: [id] })),
    ...accounts.flatMap((account) => Object.values(timelockRoles).map((role) => hasRole(role, account))),
  ];
  const { answers, blockNumber } = await callMany(client, {
    to: timelock,
    abi: timelockAbi,
    calls: views.map((view) => encodeFunctionData<Abi>({ abi: timelockAbi, ...view })),
    blockNumber: wanted,
    doing: "reading the timelock",
  });
  const values = views.map(({ functionName }, index) => decode(functionName, answers[index]));
  const [minDelaySeconds, cancellerRole, isExecutorOpen, ...rest] = values;
  const times = rest.slice(0, ids.length);
  const flags = rest.slice(ids.length);
  if (typeof minDelaySeconds !== "bigint" || typeof isExecutorOpen !== "boolean" || rest.includes(undefined))
    throw new InvalidArgumentError(`${timelock} does not answer like a TimelockController of OpenZeppelin.`, {
      nextStep: "Give the address of the timelock that owns the contracts.",
      context: { timelock },
    });
  const { timestamp: blockTime } = await withRpcErrors(client, "reading the time of a block", () =>
    getBlock(client, { blockNumber }),
  );
  return {
    ...{ timelock, blockNumber, blockTime, minDelaySeconds, isExecutorOpen },
    operations: ids.map((id, index) => toOperation(id, BigInt(String(times[index])), blockTime)),
    roles: accounts.map((account, index) => {
      const [canPropose = false, isExecutor = false, isCanceller = false] = flags
        .slice(index * 3, index * 3 + 3)
        .map((flag) => flag === true);
      // Versions before 4.6 have no cancellers: proposers cancel.
      const canCancel = cancellerRole === undefined ? canPropose : isCanceller;
      return { account, canPropose, canExecute: isExecutorOpen || isExecutor, canCancel };
    }),
  };
}

function decode(functionName: string, data: Hex | undefined): unknown {
  try {
    return data === undefined ? undefined : decodeFunctionResult<Abi>({ abi: timelockAbi, functionName, data });
  } catch {
    return undefined;
  }
}

function toOperation(id: Hex, timestamp: bigint, blockTime: bigint): OperationStatus {
  if (timestamp === 0n) return { id, state: "unset", readyAt: undefined };
  if (timestamp === doneTimestamp) return { id, state: "done", readyAt: undefined };
  return { id, state: timestamp > blockTime ? "waiting" : "ready", readyAt: timestamp };
}

/** The state of one operation. @throws what readTimelock throws */
export async function readOperation(
  client: ChainClient,
  { id, ...parameters }: Omit<ReadTimelockParameters, "ids"> & { readonly id: Hex },
): Promise<TimelockStatus & { readonly operation: OperationStatus }> {
  const status = await readTimelock(client, { ...parameters, ids: [id] });
  const [operation] = status.operations;
  if (operation === undefined) throw new TypeError("The state of the operation was read.");
  return { ...status, operation };
}
