import type { DroppedVariable } from "../core/dropped-variables.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { FinalityTag, Payment, RegistrationProof, SenderEvent } from "./ports.ts";
import type { PaymentStep } from "./progress.ts";

/** What proves the key that the environment was encrypted to. */
export type KeyProof =
  /** A KMS public key that the caller pinned. */
  | "pinned-key"
  /** The key that the DstackKms named by the caller publishes on chain. */
  | "kms-contract"
  /** Only the cloud, and the caller accepted that. */
  | "none";

/** What proves the document that the update starts from. */
export type DocumentProof =
  /** The app's contract, which allows its hash. */
  | "allowlist"
  /** The requested document has the hash that the caller had proven, so no field comes from elsewhere. */
  | "requested-hash"
  /** Only the cloud, and the caller accepted that. */
  | "none";

/** Names of variables whose values are allowed, but perhaps not meant. */
export interface ValueDoubts {
  /** Set to an empty value. */
  readonly emptyNames: readonly string[];
  /** Set to a value that ends with a backslash. Some guests garble it. */
  readonly backslashNames: readonly string[];
}

/** What each step reports when it has succeeded, in the order of the steps. */
export interface StepResults {
  readCvm: {
    readonly status: string;
    readonly composeHash: ComposeHash | undefined;
    readonly appId: AppId;
    /** Absent for an off-chain KMS. */
    readonly chainId: number | undefined;
  };
  buildDocument: {
    readonly composeHash: ComposeHash;
    readonly isUnchanged: boolean;
    readonly droppedVariables: readonly DroppedVariable[];
    /** Variables that the compose file needs, and that the given environment does not set. */
    readonly unsetNames: readonly string[];
  };
  proveDocument: {
    readonly proof: DocumentProof;
    /** The allowed hash and its official form; undefined without a proof. */
    readonly composeHash: ComposeHash | undefined;
    readonly form: string | undefined;
  };
  encryptEnvironment: ValueDoubts & {
    readonly names: readonly string[];
    readonly appId: AppId;
    readonly proof: KeyProof;
  };
  patch:
    | { readonly answer: "accepted"; readonly correlationId: string }
    | {
        readonly answer: "registrationRequired";
        readonly composeHash: ComposeHash;
        readonly deviceId: DeviceId | undefined;
      };
  checkHash: { readonly composeHash: ComposeHash; readonly isMismatchAccepted: boolean };
  readChain: {
    readonly chainId: number;
    readonly blockNumber: bigint;
    readonly owner: Hex;
    readonly composeHashAllowed: boolean;
    readonly deviceAllowed: boolean;
    /** Warning if the app or the KMS approves, or may approve, per key epoch; null otherwise. */
    readonly caveat: string | null;
    /** The payments that follow. A transaction on record is not signed again. */
    readonly planned: readonly PaymentStep[];
    /** What the payments that are not signed yet will cost; undefined if there are none. */
    readonly price: PriceEstimate | undefined;
    /** The device that will be allowed. Only the cloud has named it. */
    readonly newDevice: DeviceId | undefined;
  };
  /** Only of a prepared update: how the app came to allow the hash. */
  findTransaction: { readonly composeHash: ComposeHash; readonly transactionHash: RegistrationProof };
  pay: { readonly payments: readonly Payment[] };
  confirm: { readonly correlationId: string | undefined; readonly attempts: number };
  followRollover: { readonly status: string; readonly composeHash: ComposeHash | undefined };
  /** All payments have reached this stage. */
  awaitFinality: { readonly until: FinalityTag };
}

export type UpdateStep = keyof StepResults;

type Finished = {
  [Step in UpdateStep]: { kind: "finished"; step: Step; durationMs: number; result: StepResults[Step] };
};

/** What `onStep` receives while the update runs. Contains no secret. */
export type UpdateEvent =
  | { readonly kind: "started"; readonly step: UpdateStep }
  /** One call of the cloud's API; `status` is absent if no response arrived. */
  | {
      readonly kind: "http";
      readonly step: UpdateStep;
      readonly method: string;
      readonly path: string;
      readonly status: number | undefined;
      readonly durationMs: number;
    }
  /** The cloud starts the update when the chain has this block at this stage, which usually takes so long. */
  | {
      readonly kind: "awaitingFinality";
      readonly step: UpdateStep;
      readonly tag: FinalityTag;
      readonly blockNumber: bigint;
      readonly typicalMs: number;
    }
  /** The cloud no longer has what was prepared (466), so the same change is prepared again before it is committed. */
  | { readonly kind: "preparingAgain"; readonly step: UpdateStep }
  /** What happens to a transaction from its sending to its end. */
  | { readonly kind: "transaction"; readonly step: UpdateStep; readonly event: SenderEvent }
  | Finished[UpdateStep];

/** Measures the steps, calls the observer, and keeps the durations for the result. */
export interface UpdateEmitter {
  readonly step: UpdateStep | undefined;
  readonly durations: readonly { readonly step: UpdateStep; readonly durationMs: number }[];
  emit(event: UpdateEvent): void;
  run<Step extends UpdateStep, Outcome>(
    step: Step,
    work: () => Promise<Outcome>,
    toResult: (outcome: Outcome) => StepResults[Step],
  ): Promise<Outcome>;
}

export function createUpdateEmitter(now: () => number, onStep: (event: UpdateEvent) => void = () => {}): UpdateEmitter {
  const durations: { step: UpdateStep; durationMs: number }[] = [];
  let current: UpdateStep | undefined;
  return {
    get step() {
      return current;
    },
    durations,
    emit: onStep,
    async run(step, work, toResult) {
      const start = now();
      current = step;
      onStep({ kind: "started", step });
      const outcome = await work();
      const durationMs = now() - start;
      durations.push({ step, durationMs });
      // The compiler cannot see that the step and the result of one call belong together.
      onStep({ kind: "finished", step, durationMs, result: toResult(outcome) } as UpdateEvent);
      return outcome;
    },
  };
}
