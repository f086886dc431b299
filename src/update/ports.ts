import type { FinalityTag } from "../chain/transactions/chain-identity.ts";
import type { StageProgress } from "../chain/transactions/finality.ts";
import type { SenderEvent } from "../chain/transactions/follow-context.ts";
import type { AppCompose, AppComposeChanges } from "../core/app-compose.ts";
import type { HashToAllow } from "../core/compose-hash.ts";
import type { JudgedContract } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId, Hex, TransactionHash } from "../core/ids.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { Clock } from "../core/retry.ts";
import type { CvmKey, PaymentStep, ProgressPort } from "./progress.ts";

// Types that pass through the flow unchanged.
export type { FinalityTag, SenderEvent, StageProgress };

/** Everything an update needs from outside. `connect.ts` connects the real chain, cloud and ledger. */
export interface UpdatePorts {
  readonly cloud: CloudPort;
  readonly chain: ChainPort;
  readonly progress: ProgressPort;
  readonly clock: Clock;
}

export interface CvmSnapshot {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly busy: boolean;
  readonly operationId: string | undefined;
  /** Set while the cloud waits until the registration of an update has reached this stage. */
  readonly awaitedTag?: "safe" | "finalized" | undefined;
  readonly appId: AppId | undefined;
  readonly vmUuid: string | undefined;
  readonly composeHash: ComposeHash | undefined;
  /** Absent for an off-chain KMS. */
  readonly chainId: number | undefined;
  /** As the cloud names it. */
  readonly kmsContractAddress?: Hex | undefined;
}

export interface UpdateDraft extends AppComposeChanges {
  readonly encryptedEnvironment?: string | undefined;
}

/** The cloud applies the change. */
export interface PatchAccepted {
  readonly kind: "accepted";
  readonly correlationId: string;
}

/** The cloud waits for the hash to be allowed on chain. */
export interface RegistrationRequired extends HashToAllow {
  readonly chainId: number | undefined;
}

/** The cloud keeps a prepared update until it is committed with this token. */
export interface PreparedAnswer extends RegistrationRequired {
  readonly token: string;
}

/** The cloud's answers to both phases of an update. */
export type PatchAnswer = PatchAccepted | RegistrationRequired;

export interface CommitRequest {
  readonly token: string;
  readonly composeHash: ComposeHash;
  readonly transactionHash: RegistrationProof;
}

/** The transaction that allowed a hash. With `already-registered` the cloud reads only the contract's state. */
export type RegistrationProof = TransactionHash | "already-registered";

export interface CloudPort {
  readCvm(cvm: string): Promise<CvmSnapshot>;
  readAppCompose(cvm: string): Promise<AppCompose>;
  /**
   * The key to encrypt the app's environment to, 32 bytes of hex. If `kmsPublicKey` is given, that KMS has signed it
   * for this app; otherwise nothing but the cloud's answer proves it.
   *
   * @throws UntrustedEncryptionKeyError
   */
  readEncryptionKey(
    cvm: string,
    parameters: { readonly appId: AppId; readonly kmsPublicKey: Hex | undefined },
  ): Promise<string>;
  patch(cvm: string, draft: UpdateDraft): Promise<PatchAnswer>;
  confirm(cvm: string, composeHash: ComposeHash, transactionHash: RegistrationProof): Promise<PatchAnswer>;
  /** Like `patch`, but if a hash must be allowed first, the cloud keeps the update for `commit`. */
  prepare(cvm: string, draft: UpdateDraft): Promise<PatchAccepted | PreparedAnswer>;
  /** @throws HashExpiredError if the token was used, has expired or was superseded */
  commit(cvm: string, commit: CommitRequest): Promise<PatchAccepted>;
  /** Until when the cloud keeps a prepared update, as ISO 8601. Undefined if it does not say. */
  readExpiry(cvm: CvmSnapshot, composeHash: ComposeHash): Promise<string | undefined>;
  /**
   * The CVM's status whenever the cloud reports it, until it is `target`. Ends or throws if the cloud offers no such
   * stream, and when the stream breaks.
   */
  watchStatus(
    cvm: string,
    parameters: { readonly target: string; readonly signal: AbortSignal },
  ): AsyncIterable<string>;
  /** Why the last boot of the CVM failed, if it did. */
  readBootError(cvm: string): Promise<string | undefined>;
  /** Keyed digest: recognises a text, but cannot be used to test guesses. */
  fingerprint(text: string): string;
}

export interface AllowlistSnapshot {
  readonly blockNumber: bigint;
  readonly owner: Hex;
  readonly composeHashAllowed: boolean;
  /** The device is listed, or any device may boot. True if the cloud named no device. */
  readonly deviceAllowed: boolean;
  /** The app and, if one is named, its KMS, each with its generation. */
  readonly contracts: readonly JudgedContract[];
}

export interface ChainPort {
  /** Address that signs, if there is one. */
  readonly signer: Hex | undefined;
  readChainId(): Promise<number>;
  /** The KMS with its generation; empty if there is no KMS at this address. */
  judgeKms(kms: Hex): Promise<readonly JudgedContract[]>;
  /** The key that the DstackKms publishes; undefined if it publishes none. */
  readKmsPublicKey(kms: Hex): Promise<Hex | undefined>;
  readAllowlist(parameters: {
    readonly appId: AppId;
    readonly composeHash: ComposeHash;
    readonly deviceId: DeviceId | undefined;
    /** The KMS whose generation is read together with the app's. */
    readonly kms?: Hex | undefined;
  }): Promise<AllowlistSnapshot>;
  /** How far the chain is with a stage of its blocks. */
  readStage(tag: FinalityTag): Promise<StageProgress>;
  /** What the transactions would cost this account. @throws NotOwnerError, ContractOwnerError, ContractRevertedError */
  estimatePrice(intents: readonly PaymentIntent[], from: Hex): Promise<PriceEstimate>;
  /** The payments of one update. Asks nothing yet. */
  openPayments(update: PaidUpdate): PaymentPort;
}

/** One call to an app's contract: which value to allow, on which chain. */
export interface PaymentIntent {
  readonly chainId: number;
  readonly appId: AppId;
  readonly step: PaymentStep;
  /** The device id or compose hash. */
  readonly value: Hex;
  /**
   * A block in which the value is not allowed. A transaction that was mined by then does not count: the owner has
   * reverted its effect.
   */
  readonly absentAt?: bigint | undefined;
}

/** A mined transaction that allowed a value. */
export interface Payment extends Pick<PaymentIntent, "step" | "value"> {
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
  readonly gasUsed: bigint;
  /** Total cost in wei. */
  readonly costWei: bigint;
  /** Whether another run had recorded it. */
  readonly isFromRecord: boolean;
}

export interface PaidUpdate extends CvmKey {
  readonly composeHash: ComposeHash;
  /** The recorded transaction whose nonce may be used for nothing. */
  readonly abandon?: TransactionHash | undefined;
}

/**
 * The payments of one update, recorded in the ledger. A payment belongs to an app and a value, not to one update: a
 * transaction of another CVM's update, or of another command, counts as well.
 */
export interface PaymentPort extends Disposable {
  /**
   * Whether the ledger holds a transaction that counts, mined or open. Looks on the chain how an open one ended; sends
   * nothing.
   */
  isRecorded(payment: PaymentIntent): Promise<boolean>;
  /**
   * Returns the price if the signer can pay it.
   *
   * @throws SignerRequiredError, NotOwnerError, ContractOwnerError, ContractRevertedError, InsufficientFundsError
   */
  requireAffordable(payments: readonly PaymentIntent[]): Promise<PriceEstimate>;
  /**
   * Sends what is not on record, all of it before the first wait, and waits until each payment is mined and proven.
   * Returns them in their order, with those that an earlier run of this update made.
   */
  pay(payments: readonly PaymentIntent[]): Promise<readonly Payment[]>;
  /** Reads the mined ones again, and sends again what a reorganisation removed from the chain. */
  lookAgain(): Promise<readonly Payment[]>;
  /**
   * Waits once until all are as final as the caller asked for, and ends the command in the ledger.
   *
   * @param recorded payments of an earlier run, if this one did not call `pay`; the ledger holds their transactions
   */
  finish(recorded?: readonly PaymentIntent[]): Promise<FinalPayments>;
}

export interface FinalPayments {
  /** The stage that all have reached. */
  readonly until: FinalityTag;
  /** As they are now: a reorganisation may have moved them to other blocks. */
  readonly payments: readonly Payment[];
}
