import { type Address, isAddressEqual } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { AppId, Hex } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { callsInOperation, decodeTimelockCall, type OwnedContract, type OwnerCall } from "../core/owner-calls.ts";
import type { SafeTx } from "../core/safe.ts";
import { decodeSafeTx } from "../core/safe-calldata.ts";
import { noPredecessor } from "../core/timelock-calls.ts";
import { isDstackError } from "../errors/index.ts";
import { type LoggedOperation, readTimelockHistory } from "./timelock-history.ts";
import { readTimelock } from "./timelock-operation.ts";

/** A transaction that a Safe transaction service lists as not executed. */
export interface WaitingSafeTransaction {
  readonly safeTx: SafeTx;
  readonly safeTxHash: Hex;
  readonly confirmations: readonly unknown[];
}

export interface ReadUnderWayParameters {
  /** Undefined to read everything that is queued in a timelock. */
  readonly appId?: AppId | undefined;
  readonly kms?: Address | undefined;
  /** The owner of the app. */
  readonly owner: ReadOwnerReturnType;
  /** Lists what waits in a Safe. @default no Safe's queue is known */
  readonly readSafeQueue?: ((safe: Address) => Promise<readonly WaitingSafeTransaction[]>) | undefined;
  /** The first block whose logs of a timelock are read. @default the block of the timelock's creation */
  readonly fromBlock?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Calls that wait in a Safe for signatures, or in a timelock for their time. */
export type QueuedOperation = QueuedCalls &
  (
    | {
        readonly kind: "safe";
        readonly safe: Address;
        readonly safeTxHash: Hex;
        readonly nonce: bigint;
        readonly confirmations: number;
        /** Signatures that the Safe demands. */
        readonly threshold: bigint;
      }
    | {
        readonly kind: "timelock";
        readonly timelock: Address;
        readonly id: Hex;
        readonly state: "waiting" | "ready";
        /** Seconds since the epoch. */
        readonly readyAt: bigint;
        /** Id of the operation that must be executed before; zero for none. */
        readonly predecessor: Hex;
        readonly isPredecessorDone: boolean;
        readonly scheduled: LoggedOperation["scheduled"];
        /** Whether the id is the hash of these calls. */
        readonly isProven: boolean;
      }
  );

interface QueuedCalls {
  /** The known calls in it, also those that it schedules or executes in a timelock. */
  readonly calls: readonly OwnerCall[];
  /** Number of further calls, which this package does not know. */
  readonly unknownCalls: number;
  /** All calldata of it. */
  readonly text: string;
}

/** What the owners of an app have begun and not ended. */
export interface UnderWay {
  readonly operations: readonly QueuedOperation[];
  /** One sentence for each queue that could not be read. */
  readonly problems: readonly string[];
}

const requestsAtOnce = 4;

/**
 * Reads what is queued in the owner of an app: the transactions of a Safe that are not executed, the pending operations
 * of a timelock, and the transactions of Safes that may schedule in it. A queue that cannot be read is a problem of the
 * result, not an error.
 *
 * @throws the signal's reason, and errors that are not of this package
 */
export async function readUnderWay(client: ChainClient, parameters: ReadUnderWayParameters): Promise<UnderWay> {
  const { owner } = parameters;
  if (owner.kind === "safe") return readSafe(parameters, owner);
  if (owner.kind === "timelock") return readQueueOfTimelock(client, parameters);
  if (owner.kind !== "contract") return { operations: [], problems: [] };
  const problem = `The owner ${owner.address} is neither a Safe nor a timelock, so what is queued in it is not known.`;
  return { operations: [], problems: [problem] };
}

type Safe = Extract<ReadOwnerReturnType, { kind: "safe" }>;

async function readSafe(
  { appId, kms, owner, readSafeQueue, signal }: ReadUnderWayParameters,
  { address: safe, threshold }: Safe,
): Promise<UnderWay> {
  const unread = (why: string): UnderWay => ({
    operations: [],
    problems: [`What is queued in the Safe ${safe} is not known: ${why}`],
  });
  if (readSafeQueue === undefined) return unread("no Safe transaction service is named.");
  const contracts: { readonly contract: OwnedContract; readonly address: Address }[] = [
    ...(appId === undefined ? [] : [{ contract: "app", address: appId } as const]),
    ...(kms === undefined ? [] : [{ contract: "kms", address: kms } as const]),
    ...(owner.kind === "timelock" ? [{ contract: "timelock", address: owner.address } as const] : []),
  ];
  try {
    const waiting = await readSafeQueue(safe);
    signal?.throwIfAborted();
    const operations = waiting.map(({ safeTx, safeTxHash, confirmations }): QueuedOperation => {
      const { calls } = decodeSafeTx(safeTx, { safe, contracts });
      const known = calls.flatMap(({ call }) => call ?? []);
      return {
        ...{ kind: "safe", safe, safeTxHash, nonce: safeTx.nonce, threshold, confirmations: confirmations.length },
        calls: known.flatMap((call) => [call, ...callsInOperation(call)]),
        unknownCalls: calls.length === 0 ? 1 : calls.length - known.length,
        text: safeTx.data,
      };
    });
    return { operations, problems: [] };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return unread(error.message);
  }
}

async function readQueueOfTimelock(client: ChainClient, parameters: ReadUnderWayParameters): Promise<UnderWay> {
  const { owner, fromBlock, signal } = parameters;
  const timelock = owner.address;
  try {
    const { operations, grantedTo, toBlock } = await readTimelockHistory(client, { timelock, fromBlock, signal });
    const { operations: states, roles } = await readTimelock(client, {
      timelock,
      ids: [...operations.map(({ id }) => id), ...operations.map(({ predecessor }) => predecessor)],
      accounts: grantedTo,
      blockNumber: toBlock,
    });
    const pending = operations.flatMap((operation, index): QueuedOperation[] => {
      const { state = "unset", readyAt } = states[index] ?? {};
      if (readyAt === undefined || state === "unset" || state === "done") return [];
      const before = states[operations.length + index];
      const isPredecessorDone = operation.predecessor === noPredecessor || before?.state === "done";
      return [toQueued(timelock, operation, { state, readyAt, isPredecessorDone })];
    });
    const proposers = roles.filter(({ canPropose }) => canPropose).map(({ account }) => account);
    const safes = (
      await mapLimited(proposers, (address) => readOwner(client, { address }), { limit: requestsAtOnce })
    ).flatMap((one) => (one.kind === "safe" ? [one] : []));
    const queues = await Promise.all(safes.map((safe) => readSafe(parameters, safe)));
    return {
      operations: [...pending, ...queues.flatMap((queue) => queue.operations)],
      problems: queues.flatMap(({ problems }) => problems),
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (!isDstackError(error)) throw error;
    return { operations: [], problems: [`What is queued in the timelock ${timelock} is not known: ${error.message}`] };
  }
}

type QueuedInTimelock = Extract<QueuedOperation, { kind: "timelock" }>;

function toQueued(
  timelock: Address,
  { id, calls: raw, predecessor, proven, scheduled }: LoggedOperation,
  state: Pick<QueuedInTimelock, "state" | "readyAt" | "isPredecessorDone">,
): QueuedOperation {
  const calls = raw.flatMap((call) => decodeTimelockCall(call) ?? []);
  return {
    ...{ kind: "timelock", timelock, id, ...state, predecessor, scheduled, isProven: proven !== undefined },
    calls,
    unknownCalls: raw.length - calls.length,
    text: raw.map(({ to, data }) => `${to} ${data}`).join(" "),
  };
}

/** A name for people: "operation 0x… of the timelock 0x…". */
export function nameOfQueued(operation: QueuedOperation): string {
  return operation.kind === "safe"
    ? `transaction ${operation.nonce} of the Safe ${operation.safe}`
    : `operation ${operation.id} of the timelock ${operation.timelock}`;
}

/** Whether an operation makes exactly these calls, such as one that carries the plan that is now executed. */
export function makesExactly({ calls, unknownCalls }: QueuedCalls, wanted: readonly OwnerCall[]): boolean {
  const inside = calls.filter(({ contract }) => contract !== "timelock");
  return (
    unknownCalls === 0 &&
    inside.length === wanted.length &&
    inside.every((call, index) => {
      const { to = call.to, data = "0x" } = wanted[index] ?? {};
      return isAddressEqual(call.to, to) && call.data === data;
    })
  );
}
