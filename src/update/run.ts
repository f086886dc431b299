import type { DroppedVariable } from "../core/dropped-variables.ts";
import type { EnvironmentVariable } from "../core/environment.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseDeviceId,
  type TransactionHash,
} from "../core/ids.ts";
import { isDstackError } from "../errors/index.ts";
import type { KeyProof, Reporter, StepFacts, UpdateStep } from "./events.ts";
import { type JournalState, type PaymentRecord, type PaymentStep, paymentSteps } from "./journal-state.ts";
import type { CvmFacts, UpdatePorts } from "./ports.ts";

/** What the caller wants of the CVM; what is left out stays as it is. */
export interface UpdateRequest {
  /** `cvm_…`, UUID, `app_…`, `0x` app address or a unique name. */
  readonly cvm: string;
  /** Text of the docker-compose file. */
  readonly dockerCompose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  /** The CVM's app, where the caller knows it: a CVM of another app is refused, and one without a contract. */
  readonly appId?: AppId | undefined;
  /** Replaces the whole environment. One that sets nothing is refused: see `clearEnvironment`. */
  readonly environment?: readonly EnvironmentVariable[] | undefined;
  /** Takes every variable away, in place of `environment`. Nobody can read the values back afterwards. */
  readonly clearEnvironment?: boolean | undefined;
  /** Names the guest accepts, in order. @default the names in `environment`, when that is given */
  readonly allowedEnvs?: readonly string[] | undefined;
  readonly publicLogs?: boolean | undefined;
  readonly publicSysinfo?: boolean | undefined;
  readonly publicTcbinfo?: boolean | undefined;
  /**
   * The DstackKms that the caller trusts, on the chain of the app: an environment is only encrypted to a key that it has
   * signed for this app. Its own key is read through `chain`, whose endpoint could lie about it together with the cloud.
   */
  readonly kms?: Hex | undefined;
  /** secp256k1 key of the trusted KMS, in place of `kms`: then no endpoint is asked. 33 bytes, or 65 uncompressed. */
  readonly expectedKmsPublicKey?: Hex | undefined;
  /** Encrypts the environment to whatever key the cloud names, where no trusted KMS can vouch for one. @default false */
  readonly acceptUnprovenKey?: boolean | undefined;
  /** Which devices the update may allow on chain when the cloud names one: any, none, or only these. @default "any" */
  readonly devices?: "any" | "none" | readonly DeviceId[] | undefined;
  /** The one hash, other than our own, that may be allowed: exactly what a HashMismatchError named. */
  readonly acceptHashMismatch?: ComposeHash | undefined;
  /**
   * Allows the hash also where app or KMS approve per key epoch, or may: it is allowed for app epoch 0 alone then, which
   * may not be what governs.
   */
  readonly acceptKeyEpochs?: boolean | undefined;
  /** The one recorded transaction that may be given up: exactly what a NonceTakenError named. */
  readonly abandonTransaction?: TransactionHash | undefined;
}

/** All in milliseconds, for one step. */
export interface UpdateTimeouts {
  /** For a busy CVM to come to rest before the update. */
  readonly settleMs: number;
  /** For one transaction to be mined and confirmed. */
  readonly receiptMs: number;
  /** For the cloud to accept a transaction that the chain has. */
  readonly confirmMs: number;
  readonly rolloverMs: number;
}

export interface UpdateSettings {
  /** Blocks a transaction must have, its own included. */
  readonly confirmations: number;
  readonly timeouts: UpdateTimeouts;
  /**
   * Whether to follow the CVM until it runs what was asked for. If not, the update ends as `confirmed`: the cloud has
   * everything it needs, and the next call with the same journal says what became of it.
   */
  readonly waitForRollover: boolean;
  readonly pollCloudMs: number;
  readonly pollChainMs: number;
}

export const defaultUpdateSettings: UpdateSettings = {
  confirmations: 1,
  timeouts: { settleMs: 600_000, receiptMs: 180_000, confirmMs: 120_000, rolloverMs: 900_000 },
  waitForRollover: true,
  pollCloudMs: 2_000,
  pollChainMs: 2_000,
};

/** Everything the steps share. */
export interface UpdateRun extends UpdatePorts {
  /** Whether the caller named the chain of the app. Without one, only a CVM without a contract can be updated. */
  readonly isChainNamed: boolean;
  readonly request: UpdateRequest;
  readonly settings: UpdateSettings;
  readonly reporter: Reporter;
  readonly signal: AbortSignal | undefined;
}

/** A CVM at rest that an update can be made of. */
export interface UpdateTarget extends CvmFacts {
  readonly appId: AppId;
  /** The name the journal knows it by, whatever the caller called it. */
  readonly key: string;
}

/** Runs one step, unless the caller has asked to stop. A step that has begun is finished: it may be paying. */
export async function during<Step extends UpdateStep, Outcome>(
  run: UpdateRun,
  step: Step,
  work: () => Promise<Outcome>,
  facts: (outcome: Outcome) => StepFacts[Step],
): Promise<Outcome> {
  run.signal?.throwIfAborted();
  return run.reporter.during(step, work, facts);
}

export interface PollParameters {
  readonly everyMs: number;
  /** Each pause is this many times the one before, up to ten times the first. @default 1 */
  readonly growth?: number;
  readonly timeoutMs: number;
  /** Whether a fault counts as "no answer yet". @default the error's own `retryable` */
  readonly mayPass?: (error: unknown) => Promise<boolean>;
  /** The error for a wait that was too long; `fault` is the last answer's, if it was one. */
  readonly onTimeout: (waitedMs: number, fault: unknown) => unknown;
}

/**
 * Asks until there is an answer other than `undefined`.
 *
 * @throws what `onTimeout` returns, a fault that does not pass, and the signal's reason
 */
export async function poll<Answer>(
  { clock, signal }: Pick<UpdateRun, "clock" | "signal">,
  { everyMs, growth = 1, timeoutMs, mayPass = isRetryable, onTimeout }: PollParameters,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const start = clock.now();
  for (let pause = everyMs; ; pause = Math.min(pause * growth, 10 * everyMs)) {
    let fault: unknown;
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (!(await mayPass(error))) throw error;
      fault = error;
    }
    const waitedMs = clock.now() - start;
    if (waitedMs >= timeoutMs) throw onTimeout(waitedMs, fault);
    await clock.sleep(Math.min(pause, timeoutMs - waitedMs), signal);
  }
}

async function isRetryable(error: unknown): Promise<boolean> {
  return isDstackError(error) && error.retryable;
}

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
