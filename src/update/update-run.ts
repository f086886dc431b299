import type { EnvironmentVariable } from "../core/environment.ts";
import type { AppId, ComposeHash, DeviceId, Hex, TransactionHash } from "../core/ids.ts";
import type { Reporter, StepFacts, UpdateStep } from "./events.ts";
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
