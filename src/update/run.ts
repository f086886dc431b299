import type { AppCompose, AppComposeChanges } from "../core/app-compose.ts";
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
import type { DocumentProof, KeyProof, StepResults, UpdateEmitter, UpdateStep, ValueDoubts } from "./events.ts";
import type { CvmSnapshot, Payment, RegistrationProof, UpdatePorts } from "./ports.ts";
import type { CvmKey } from "./progress.ts";

/** What the caller wants to change. A field that is left out keeps its present value. */
export interface UpdateRequest extends AppComposeChanges {
  /** `cvm_…`, UUID, `app_…`, `0x` app address or a unique name. */
  readonly cvm: string;
  /**
   * The app the CVM must belong to. The update refuses a CVM of another app, and a CVM without a contract. Required with an
   * environment, unless `cvm` is an app id: the cloud could otherwise name an app of its own choice.
   */
  readonly appId?: AppId | undefined;
  /**
   * Replaces the whole environment. An empty list is refused; use `clearEnvironment` to remove every variable. A list whose
   * values are all empty is refused too; see `acceptEmptyValues`.
   */
  readonly environment?: readonly EnvironmentVariable[] | undefined;
  /** Removes every variable; excludes `environment`. The present values cannot be read back afterwards. */
  readonly clearEnvironment?: boolean | undefined;
  /** Names the guest accepts, in order. @default the names in `environment`, if it is given */
  readonly allowedEnvs?: readonly string[] | undefined;
  /**
   * The DstackKms that the caller trusts, on the app's chain. The environment is only encrypted to a key that this KMS
   * has signed for the app. The KMS's own key is read through `chain`, so an endpoint that conspires with the cloud
   * could lie about it.
   */
  readonly kms?: Hex | undefined;
  /**
   * secp256k1 key of the trusted KMS, used instead of `kms`; no endpoint is then asked. 33 bytes, or 65 uncompressed.
   */
  readonly expectedKmsPublicKey?: Hex | undefined;
  /**
   * Encrypts the environment to the key and for the app that the cloud names, even if no trusted KMS signed the key or
   * the caller names no app. @default false
   */
  readonly acceptUnprovenKey?: boolean | undefined;
  /** Starts from the document that the cloud names even if the app's contract does not allow it. @default false */
  readonly acceptUnprovenDocument?: boolean | undefined;
  /**
   * A compose hash that the caller has proven to be one of the app's own, as that of an earlier document. If the
   * requested document has it, the document that the update starts from needs no proof: the hash covers every field.
   */
  readonly provenComposeHash?: ComposeHash | undefined;
  /** Sets an environment even if all its values are empty. @default false */
  readonly acceptEmptyValues?: boolean | undefined;
  /** Accepts keys in `dockerCompose` that the known Compose Specification does not have. @default false */
  readonly acceptUnknownComposeKeys?: boolean | undefined;
  /**
   * Called with the document whose hash the update will ask for, before the cloud is asked to change anything. If it throws,
   * the update stops.
   */
  readonly reviewDocument?: ((document: AppCompose) => void | Promise<void>) | undefined;
  /** Devices the update may allow on chain when the cloud names one: any, none, or only these. @default "any" */
  readonly devices?: "any" | "none" | readonly DeviceId[] | undefined;
  /** The only hash that may be allowed although it differs from the local one: the one that a HashMismatchError named. */
  readonly acceptHashMismatch?: ComposeHash | undefined;
  /**
   * Allows the hash even if the app or the KMS approves (or may approve) per key epoch. The hash is then allowed for
   * app epoch 0 only, and another epoch may decide.
   */
  readonly acceptKeyEpochs?: boolean | undefined;
  /**
   * A recorded transaction of this update that still waits. Its nonce is used for an empty call at a higher price, and
   * another transaction is signed for the payment. If the recorded one is mined first, it counts.
   */
  readonly abandonTransaction?: TransactionHash | undefined;
}

/** All in milliseconds, for one step. */
export interface UpdateTimeouts {
  /** For a busy CVM to become idle before the update. */
  readonly settleMs: number;
  /** For one transaction to be mined. */
  readonly receiptMs: number;
  /** For the payments to be as final as `until` says. @default four times the chain's usual time */
  readonly finalityMs?: number | undefined;
  /** For the cloud to accept a transaction that is already mined. */
  readonly confirmMs: number;
  readonly rolloverMs: number;
}

export interface UpdateSettings {
  readonly timeouts: UpdateTimeouts;
  /**
   * Whether to follow the CVM until it runs the new compose. If false, the update ends as `confirmed`: the cloud has
   * everything it needs, and the next call with the same ledger reports the result.
   */
  readonly waitForRollover: boolean;
  /** Longest pause between two polls of the cloud. The first pauses are shorter, and an event of the cloud ends one. */
  readonly pollCloudMs: number;
  /** Longest pause between two polls of the chain. The first pauses are shorter. */
  readonly pollChainMs: number;
}

export const defaultUpdateSettings: UpdateSettings = {
  timeouts: { settleMs: 600_000, receiptMs: 180_000, confirmMs: 120_000, rolloverMs: 900_000 },
  waitForRollover: true,
  pollCloudMs: 2_000,
  pollChainMs: 2_000,
};

/** Everything the steps share. */
export interface UpdateRun extends UpdatePorts {
  /** Whether the caller gave a client of the app's chain. Without one, only a CVM without a contract can be updated. */
  readonly isChainNamed: boolean;
  readonly request: UpdateRequest;
  readonly settings: UpdateSettings;
  readonly emitter: UpdateEmitter;
  readonly signal: AbortSignal | undefined;
}

/** An idle CVM that can be updated. */
export interface UpdateTarget extends CvmSnapshot, CvmKey {
  readonly appId: AppId;
}

/** Runs one step, unless the caller has aborted. A started step always runs to its end, because it may be paying. */
export async function withStep<Step extends UpdateStep, Outcome>(
  run: UpdateRun,
  step: Step,
  work: () => Promise<Outcome>,
  toResult: (outcome: Outcome) => StepResults[Step],
): Promise<Outcome> {
  run.signal?.throwIfAborted();
  return run.emitter.run(step, work, toResult);
}

/** The result of an update. */
export interface UpdateResult {
  /**
   * `unchanged`: the CVM already runs the requested compose, so nothing was done. `confirmed`: the cloud has accepted
   * the update, and the caller chose not to wait for its end.
   */
  readonly outcome: "updated" | "environmentReplaced" | "unchanged" | "confirmed";
  /** The CVM's id. */
  readonly cvm: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash | undefined;
  readonly previousComposeHash: ComposeHash | undefined;
  /** The CVM's status when the cloud was last asked. A `stopped` CVM boots with `composeHash` at its next start. */
  readonly status: string;
  /**
   * How the cloud was to verify that the app allows the hash: by this transaction, or `already-registered`, by the
   * contract's state alone, because the app allowed the hash before. Undefined if this run did not confirm a hash.
   */
  readonly registration: RegistrationProof | undefined;
  /** Whether the cloud no longer had what was prepared, so that `commitUpdate` prepared the same change again. */
  readonly isPreparedAgain: boolean;
  /** The transactions this update needed, in the order they were mined. */
  readonly transactions: readonly Payment[];
  /** The cloud's id for support tickets. */
  readonly correlationId: string | undefined;
  /** Whether this call continued an interrupted run. */
  readonly isResumed: boolean;
  /** What proves the key that this run encrypted the environment to. Absent if it encrypted no environment. */
  readonly keyProof: KeyProof | undefined;
  /** What proves the document that this run started from. Absent if no new hash had to be allowed on chain. */
  readonly documentProof: DocumentProof | undefined;
  /** The device that this update allowed on chain, and who named it. Absent if it allowed none. */
  readonly allowedDevice: { readonly deviceId: DeviceId; readonly namedBy: "cloud" } | undefined;
  /** Variables that were set before and that the new environment does not set. */
  readonly droppedVariables: readonly DroppedVariable[];
  /** Sentences for the user about the result. */
  readonly warnings: readonly string[];
  readonly steps: readonly { readonly step: UpdateStep; readonly durationMs: number }[];
}

export interface DescribeResultParameters {
  readonly outcome: UpdateResult["outcome"];
  readonly target: UpdateTarget;
  readonly composeHash?: ComposeHash | undefined;
  readonly previousComposeHash?: ComposeHash | undefined;
  readonly correlationId?: string | undefined;
  readonly payments?: readonly Payment[];
  readonly isResumed: boolean;
  /** @default as `target` has it */
  readonly status?: string | undefined;
  readonly registration?: RegistrationProof | undefined;
  readonly isPreparedAgain?: boolean | undefined;
}

export function describeResult(run: UpdateRun, parameters: DescribeResultParameters): UpdateResult {
  const { outcome, target, correlationId, payments = [], isResumed } = parameters;
  const device = payments.find(({ step }) => step === "addDevice");
  return {
    outcome,
    cvm: target.id,
    appId: target.appId,
    composeHash: parameters.composeHash ?? target.composeHash,
    previousComposeHash: parameters.previousComposeHash ?? target.composeHash,
    status: parameters.status ?? target.status,
    registration: parameters.registration,
    isPreparedAgain: parameters.isPreparedAgain === true,
    transactions: payments,
    correlationId,
    isResumed,
    keyProof: undefined,
    documentProof: undefined,
    allowedDevice: device && { deviceId: parseDeviceId(device.value), namedBy: "cloud" },
    droppedVariables: [],
    warnings: [],
    steps: run.emitter.durations,
  };
}

/** What a run learned in addition to its outcome. */
export interface RunFindings extends Partial<ValueDoubts> {
  readonly keyProof?: KeyProof | undefined;
  readonly documentProof?: DocumentProof | undefined;
  readonly droppedVariables?: readonly DroppedVariable[];
  readonly unsetNames?: readonly string[];
}

/** Adds to the result what the run learned, and the warnings about it. */
export function withFindings(result: UpdateResult, findings: RunFindings): UpdateResult {
  const { keyProof, documentProof, droppedVariables = [] } = findings;
  return { ...result, keyProof, documentProof, droppedVariables, warnings: describeWarnings(findings) };
}

/** Warnings about what a run learned, in sentences. */
export function describeWarnings(findings: RunFindings): readonly string[] {
  const { keyProof, documentProof, droppedVariables = [], unsetNames = [] } = findings;
  const { emptyNames = [], backslashNames = [] } = findings;
  return [
    ...(documentProof === "none"
      ? [
          "The update started from a document that the app's contract did not allow. Only the cloud says that the app runs it.",
        ]
      : []),
    ...droppedVariables.map(({ name, isUsed }) =>
      isUsed
        ? `The compose file uses ${name}, which was set before and is no longer set.`
        : `${name} was set before and is no longer set.`,
    ),
    ...unsetNames.map((name) => `The compose file needs ${name}, which the given environment does not set.`),
    ...emptyNames.map((name) => `${name} is set to an empty value.`),
    ...backslashNames.map(
      (name) => `The value of ${name} ends with a backslash (\\), which some versions of the guest read wrongly.`,
    ),
    ...(keyProof === "none"
      ? ["The environment was encrypted to a key that no trusted KMS signed, or for an app that only the cloud named."]
      : []),
  ];
}
