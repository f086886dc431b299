import { type Address, isAddressEqual, isHex, parseAbi, type TransactionReceipt } from "viem";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { isBlockOnChain, readReceipt } from "../chain/transactions/receipt.ts";
import { decodeEvents } from "../core/events.ts";
import { type Hex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import {
  compareEvents,
  describeEvent,
  expectedEvents,
  type OwnerEvent,
  ownerEvents,
  type WatchedContract,
  watchedContracts,
} from "../core/owner-events.ts";
import { decodeTimelockLog } from "../core/timelock.ts";
import { ExecutionNotProvenError } from "../errors/index.ts";
import { compareChanges, decodePolicyChanges } from "../history/policy.ts";
import type { ChangePlan, OwnerKind } from "../plans/change-plan.ts";
import { decodeSafeExecution } from "./safe-executions.ts";

/** The part of a plan that decides which events its execution causes, and who must cause them. */
export type ExecutablePlan = Pick<ChangePlan, "chainId" | "contracts" | "owner" | "changes">;

export interface ProveExecutionParameters {
  readonly transactionHash: TransactionHash;
  /** Demands exactly this transaction of the Safe that owns the contracts, or that executes a timelock's operation. */
  readonly safeTxHash?: Hex | undefined;
  /** Demands exactly this operation of the timelock that owns the contracts. */
  readonly operationId?: Hex | undefined;
}

/** The planned events came out of the planned contracts, in their order, and no others. */
export interface ProvenExecution {
  readonly kind: "applied";
  /** Which kind of owner made the calls. */
  readonly by: OwnerKind;
  /**
   * Of the Safe transaction, unless a module of the Safe made the calls. For a timelock: of the Safe transaction that
   * executed the operation, if the transaction went to a Safe.
   */
  readonly safeTxHash?: Hex | undefined;
  /** Of the timelock's operation. */
  readonly operationId?: Hex | undefined;
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
}

export type RefusalReason =
  | "not-mined"
  | "reverted"
  | "safe-failed"
  | "missing-event"
  | "extra-event"
  | "wrong-order"
  | "not-by-owner"
  | "other-safe-transaction"
  | "other-operation";

/** The transaction is not, or not exactly, the execution of the plan. */
export interface RefusedExecution {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** A sentence. */
  readonly message: string;
  readonly transactionHash: TransactionHash;
}

export type ExecutionVerdict = ProvenExecution | RefusedExecution;

/**
 * Proves that a transaction executed a plan: it is mined, exactly the planned events came out of the planned contracts
 * in their order, and the plan's owner caused them. For a Safe, its own event must name the Safe transaction around
 * these events. For a timelock, its own events must name one operation with exactly the planned calls. Trusts the
 * endpoint for the receipt and for the hash of its block.
 *
 * @throws WrongChainError, RpcUnavailableError
 */
export async function proveExecution(
  client: ChainClient,
  plan: ExecutablePlan,
  { transactionHash, ...demands }: ProveExecutionParameters,
): Promise<ExecutionVerdict> {
  await requireChain(client, plan.chainId);
  const receipt = await readReceipt(client, transactionHash);
  if (receipt === undefined) {
    return refusal(transactionHash, "not-mined", `No block of the chain contains transaction ${transactionHash}.`);
  }
  if (!(await isBlockOnChain(client, receipt))) {
    const message = `A reorganisation removed block ${receipt.blockNumber} with transaction ${transactionHash}.`;
    return refusal(transactionHash, "not-mined", message);
  }
  return judge(client, plan, { receipt, ...demands });
}

/** As `proveExecution`. @throws ExecutionNotProvenError unless the transaction is the execution of the plan */
export async function requireExecution(
  client: ChainClient,
  plan: ExecutablePlan,
  parameters: ProveExecutionParameters,
): Promise<ProvenExecution> {
  const verdict = await proveExecution(client, plan, parameters);
  if (verdict.kind === "applied") return verdict;
  const { reason, message, transactionHash } = verdict;
  throw new ExecutionNotProvenError(message, { reason, transactionHash });
}

interface JudgeParameters extends Omit<ProveExecutionParameters, "transactionHash"> {
  readonly receipt: TransactionReceipt;
}

async function judge(
  client: ChainClient,
  { owner, changes, ...plan }: ExecutablePlan,
  { receipt, ...demands }: JudgeParameters,
): Promise<ExecutionVerdict> {
  const transactionHash = parseTransactionHash(receipt.transactionHash);
  const refuse = (reason: RefusalReason, message: string) => refusal(transactionHash, reason, message);
  if (receipt.status !== "success") {
    return refuse("reverted", `Transaction ${transactionHash} reverted, so it changed nothing.`);
  }
  const calls = changes.map(({ call }) => call);
  const contracts = contractsOf({ contracts: plan.contracts, calls });
  const expected = expectedEvents(calls, owner.address);
  const { missing, extra, found, isInOrder } = compareEvents(expected, ownerEvents(receipt.logs, contracts));
  const [first] = missing;
  if (first !== undefined) {
    const failed = failedInSafe(receipt, owner.address);
    const isFailed = demands.safeTxHash === undefined ? found.length === 0 : failed.includes(demands.safeTxHash);
    if (owner.kind === "safe" && failed.length > 0 && isFailed) {
      const message = `The Safe ${owner.address} mined the transaction, but the call inside failed. Nothing was changed, and its nonce is used up.`;
      return refuse("safe-failed", message);
    }
    const call = calls[first.position];
    const name = first.eventNames.join(" or ");
    return refuse("missing-event", `${first.address} logged no ${name} for: ${call?.description ?? "a planned call"}.`);
  }
  const [other] = [...extra.map(describeEvent), ...otherPolicies(receipt, contracts)];
  if (other !== undefined) return refuse("extra-event", `The transaction also caused ${other}, which is not planned.`);
  if (!isInOrder) return refuse("wrong-order", "The transaction made the planned changes in another order.");

  const events = found.map(({ event }) => event);
  const maker = await findMaker(client, { owner, calls, contracts, receipt, events, ...demands });
  if ("reason" in maker) return refuse(maker.reason, maker.message);
  const { blockNumber, blockHash } = receipt;
  return { kind: "applied", by: owner.kind, ...maker, transactionHash, blockNumber, blockHash };
}

/** The plan's contracts, and those of its calls. */
export function contractsOf({
  contracts,
  calls,
}: {
  readonly contracts: readonly WatchedContract[];
  readonly calls: readonly OwnerCall[];
}): readonly WatchedContract[] {
  const known = contracts.map(({ contract, address }) => ({ contract, address }));
  const more = watchedContracts(calls).filter(
    ({ address }) => !known.some((one) => isAddressEqual(one.address, address)),
  );
  return [...known, ...more];
}

/** A change that an app records only in PolicyChanged, as apps with policies of their own do. */
function otherPolicies({ logs }: TransactionReceipt, contracts: readonly WatchedContract[]): readonly string[] {
  return contracts
    .filter(({ contract }) => contract === "app")
    .flatMap(({ address }) => {
      const own = logs
        .filter((log) => isAddressEqual(log.address, address))
        .map(({ topics, ...log }) => ({ ...log, topics: [...topics], timestamp: undefined }))
        .toSorted(compareChanges);
      return decodePolicyChanges(own).changes.flatMap((change) =>
        change.kind === "otherPolicyChanged"
          ? describeEvent({ eventName: "PolicyChanged", args: { value: change.value }, address })
          : [],
      );
    });
}

interface MakerParameters extends Omit<ProveExecutionParameters, "transactionHash"> {
  readonly owner: ChangePlan["owner"];
  readonly calls: readonly OwnerCall[];
  readonly contracts: readonly WatchedContract[];
  readonly receipt: TransactionReceipt;
  /** The planned events. */
  readonly events: readonly OwnerEvent[];
}

type Maker =
  | Pick<ProvenExecution, "safeTxHash" | "operationId">
  | { readonly reason: RefusalReason; readonly message: string };

function findMaker(client: ChainClient, parameters: MakerParameters): Maker | Promise<Maker> {
  const { kind } = parameters.owner;
  if (kind === "safe") return findSafeTransaction(parameters);
  if (kind === "timelock") return findOperation(parameters);
  // What other contracts log when they call is not known. Only the owner can cause the events.
  return kind === "key" ? findSender(client, parameters) : {};
}

async function findSender(client: ChainClient, { owner, contracts, receipt }: MakerParameters): Promise<Maker> {
  const transaction = await withRpcErrors(client, "reading who sent a transaction", () =>
    client.request({ method: "eth_getTransactionByHash", params: [receipt.transactionHash] }),
  );
  const { from, to } = Object(transaction) as { readonly from?: unknown; readonly to?: unknown };
  const isOwner = (address: unknown) => isHex(address) && isAddressEqual(address, owner.address);
  // An account that delegates by EIP-7702 makes a batch by a call of itself.
  if (isOwner(to)) return {};
  const isDirect = isHex(to) && contracts.some(({ address }) => isAddressEqual(address, to));
  if (isOwner(from) && isDirect) return {};
  return { reason: "not-by-owner", message: `${from} sent the transaction, and not the owner ${owner.address}.` };
}

interface ExecutionLog {
  readonly safeTxHash: Hex;
  readonly isSuccessful: boolean;
  readonly logIndex: number;
}

function executionsOf({ logs }: Pick<TransactionReceipt, "logs">, safe: Address): readonly ExecutionLog[] {
  return logs
    .filter(({ address }) => isAddressEqual(address, safe))
    .flatMap(({ topics, data, logIndex }) => {
      const execution = decodeSafeExecution(topics, data);
      return execution === undefined ? [] : [{ ...execution, logIndex }];
    })
    .toSorted((one, other) => one.logIndex - other.logIndex);
}

function failedInSafe(receipt: TransactionReceipt, safe: Address): readonly Hex[] {
  return executionsOf(receipt, safe).flatMap(({ isSuccessful, safeTxHash }) => (isSuccessful ? [] : [safeTxHash]));
}

const moduleAbi = parseAbi(["event ExecutionFromModuleSuccess(address indexed module)"]);

/** A Safe logs its execution after the calls. So the events lie between this log and that of its execution before. */
function transactionAround(
  receipt: Pick<TransactionReceipt, "logs">,
  safe: Address,
  logIndexes: readonly number[],
): Hex | undefined {
  const executions = executionsOf(receipt, safe);
  return executions.find(({ isSuccessful, logIndex }, index) => {
    const start = executions[index - 1]?.logIndex ?? -1;
    return isSuccessful && logIndexes.every((event) => event > start && event < logIndex);
  })?.safeTxHash;
}

function findSafeTransaction({ owner, receipt, events, safeTxHash }: MakerParameters): Maker {
  const around = transactionAround(
    receipt,
    owner.address,
    events.map(({ logIndex }) => logIndex),
  );
  if (around !== undefined && (safeTxHash === undefined || safeTxHash.toLowerCase() === around)) {
    return { safeTxHash: around };
  }
  const executions = executionsOf(receipt, owner.address);
  if (safeTxHash !== undefined && executions.length > 0) {
    const others = executions.map((one) => one.safeTxHash).join(", ");
    const message = `The Safe ${owner.address} made the changes by another transaction than ${safeTxHash}: ${others}.`;
    return { reason: "other-safe-transaction", message };
  }
  const isByModule = decodeEvents(moduleAbi, receipt, owner.address).length > 0;
  if (safeTxHash === undefined && isByModule) return {};
  const message = `No single transaction of the Safe ${owner.address} made the changes.`;
  return { reason: "not-by-owner", message };
}

/** A timelock logs each call of an operation, with the operation's id. */
function findOperation({ owner, calls, receipt, operationId, safeTxHash }: MakerParameters): Maker {
  const executed = receipt.logs
    .filter(({ address }) => isAddressEqual(address, owner.address))
    .flatMap((log) => {
      const event = decodeTimelockLog(log);
      return event?.kind === "executed" ? [{ ...event, logIndex: log.logIndex }] : [];
    });
  if (executed.length === 0) {
    const message = `The timelock ${owner.address} executed no operation in this transaction.`;
    return { reason: "not-by-owner", message };
  }
  const ids = [...new Set(executed.map(({ id }) => id))];
  const isPlanned = (id: Hex) => {
    const own = executed.filter((event) => event.id === id).map(({ call }) => call);
    return own.length === calls.length && own.every((call, index) => isSame(call, calls[index]));
  };
  const found = ids.find((id) => isPlanned(id) && (operationId === undefined || id === operationId.toLowerCase()));
  if (found !== undefined) {
    const logIndexes = executed.filter(({ id }) => id === found).map(({ logIndex }) => logIndex);
    const executor = receipt.to === null ? undefined : transactionAround(receipt, receipt.to, logIndexes);
    if (safeTxHash === undefined || safeTxHash.toLowerCase() === executor) {
      return { operationId: found, ...(executor !== undefined && { safeTxHash: executor }) };
    }
    const message = `Operation ${found} was executed, but not by Safe transaction ${safeTxHash}.`;
    return { reason: "other-safe-transaction", message };
  }
  const wanted = operationId === undefined ? "with exactly the planned calls" : operationId;
  const message = `The timelock ${owner.address} executed ${ids.join(", ")}, and not operation ${wanted}.`;
  return { reason: "other-operation", message };
}

function isSame(
  call: { readonly to: Address; readonly value: bigint; readonly data: Hex },
  planned: OwnerCall | undefined,
): boolean {
  if (planned === undefined || call.value !== 0n) return false;
  return isAddressEqual(call.to, planned.to) && call.data.toLowerCase() === planned.data;
}

function refusal(transactionHash: TransactionHash, reason: RefusalReason, message: string): RefusedExecution {
  return { kind: "refused", reason, message, transactionHash };
}
