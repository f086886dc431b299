import type { DroppedVariable } from "../core/docker-compose.ts";
import { type AppId, type ComposeHash, type DeviceId, parseDeviceId, type TransactionHash } from "../core/ids.ts";
import type { KeyProof, UpdateStep } from "./events.ts";
import { type PaymentStep, paymentSteps } from "./journal-entry.ts";
import type { JournalState, PaymentRecord } from "./journal-state.ts";
import type { UpdateRun, UpdateTarget } from "./update-run.ts";

/** What an update came to. */
export interface UpdateResult {
  /**
   * `unchanged`: the CVM runs what was asked for, so it was left alone. `confirmed`: the cloud has taken the update, and
   * nobody waited for its end.
   */
  readonly outcome: "updated" | "environmentReplaced" | "unchanged" | "confirmed";
  /** The CVM's id. */
  readonly cvm: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash | undefined;
  readonly previousComposeHash: ComposeHash | undefined;
  /** Those that this update rests on, in the order they were mined. */
  readonly transactions: readonly UpdateTransaction[];
  /** What to quote in a support ticket. */
  readonly correlationId: string | undefined;
  /** Whether it went on where an interrupted run had stopped. */
  readonly isResumed: boolean;
  /** Who vouches for the key that this run encrypted the environment to. Absent where it encrypted none. */
  readonly keyProof: KeyProof | undefined;
  /** The device that this update allowed on chain, and whose word it took for it. Absent if it allowed none. */
  readonly allowedDevice: { readonly deviceId: DeviceId; readonly namedBy: "cloud" } | undefined;
  /** Variables that were set before and that the new environment does not set. */
  readonly droppedVariables: readonly DroppedVariable[];
  /** What a person should know of the outcome, in sentences. */
  readonly warnings: readonly string[];
  readonly steps: readonly { readonly step: UpdateStep; readonly durationMs: number }[];
}

export interface UpdateTransaction {
  readonly step: PaymentStep;
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
  readonly gasUsed: bigint;
  /** Everything it cost, in wei. */
  readonly costWei: bigint;
}

export interface DescribeResultParameters {
  readonly outcome: UpdateResult["outcome"];
  readonly target: UpdateTarget;
  readonly composeHash?: ComposeHash | undefined;
  readonly previousComposeHash?: ComposeHash | undefined;
  /** Absent if there was nothing to do. */
  readonly update?: string | undefined;
  readonly isResumed: boolean;
}

export function describeResult(run: UpdateRun, parameters: DescribeResultParameters): UpdateResult {
  const { outcome, target, update, isResumed } = parameters;
  const { state } = run.journal;
  return {
    outcome,
    cvm: target.id,
    appId: target.appId,
    composeHash: parameters.composeHash ?? target.composeHash,
    previousComposeHash: parameters.previousComposeHash ?? target.composeHash,
    transactions: update === undefined ? [] : transactionsOf(state, update),
    correlationId: update === undefined ? undefined : state.updates.get(update)?.correlationId,
    isResumed,
    keyProof: undefined,
    allowedDevice: update === undefined ? undefined : allowedDeviceOf(state, update),
    droppedVariables: [],
    warnings: [],
    steps: run.reporter.durations,
  };
}

/** The result of a run that replaced the environment, if it did, with what is to be said about that. */
export function withEnvironment(
  result: UpdateResult,
  keyProof: KeyProof | undefined,
  droppedVariables: readonly DroppedVariable[],
): UpdateResult {
  return { ...result, keyProof, droppedVariables, warnings: describeWarnings(keyProof, droppedVariables) };
}

/** About an environment, in sentences. */
export function describeWarnings(
  keyProof: KeyProof | undefined,
  droppedVariables: readonly DroppedVariable[],
): readonly string[] {
  const dropped = droppedVariables.map(({ name, isUsed }) =>
    isUsed
      ? `The compose file uses ${name}, which was set before and is not set any more.`
      : `${name} was set before and is not set any more.`,
  );
  return keyProof === "none"
    ? [...dropped, "The environment was encrypted to a key that no trusted KMS vouches for."]
    : dropped;
}

function allowedDeviceOf({ payments }: JournalState, update: string): UpdateResult["allowedDevice"] {
  const paid = [...payments.values()].find(({ mined }) => mined?.step === "addDevice" && mined.update === update);
  return paid && { deviceId: parseDeviceId(paid.prepared.value), namedBy: "cloud" };
}

function transactionsOf(state: JournalState, update: string): UpdateTransaction[] {
  const payments = [...state.payments.values()];
  return paymentSteps.flatMap((step) => payments.flatMap((payment) => toTransaction(payment, step, update)));
}

function toTransaction({ mined }: PaymentRecord, step: PaymentStep, update: string): UpdateTransaction[] {
  if (mined?.step !== step || mined.update !== update) return [];
  const { transactionHash, blockNumber, gasUsed, costWei } = mined;
  return [
    {
      step,
      transactionHash,
      blockNumber: BigInt(blockNumber),
      gasUsed: BigInt(gasUsed),
      costWei: BigInt(costWei),
    },
  ];
}
