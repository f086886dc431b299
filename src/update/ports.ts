import type { AppCompose, AppComposeChanges } from "../core/app-compose.ts";
import type { HashToAllow } from "../core/compose-hash.ts";
import type { JudgedContract } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId, Hex, TransactionHash } from "../core/ids.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { Clock } from "../core/retry.ts";
import type { JournalState, NewJournalEntry, PaymentIntent } from "./journal-state.ts";

/** Everything an update needs from outside. `connect.ts` connects the real chain and cloud. */
export interface UpdatePorts {
  readonly cloud: CloudPort;
  readonly chain: ChainPort;
  readonly journal: JournalPort;
  readonly clock: Clock;
}

/** Append-only record of payments and of the cloud's answers. */
export interface JournalPort {
  readonly state: JournalState;
  /** Returns when the entry would survive a power failure. */
  append(entry: NewJournalEntry): Promise<void>;
}

export interface CvmSnapshot {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly busy: boolean;
  readonly operationId: string | undefined;
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

/** The cloud's answers to both phases of an update. */
export type PatchAnswer = PatchAccepted | RegistrationRequired;

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
  confirm(cvm: string, composeHash: ComposeHash, transactionHash: TransactionHash): Promise<PatchAnswer>;
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

/** A transaction with all fields fixed, as the journal keeps it. */
export interface SignedTransaction {
  readonly chainId: number;
  readonly from: Hex;
  readonly to: Hex;
  readonly data: Hex;
  readonly nonce: number;
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Both absent if a remote wallet signs. */
  readonly rawTransaction?: Hex | undefined;
  readonly transactionHash?: TransactionHash | undefined;
}

export interface MinedReceipt {
  readonly transactionHash: TransactionHash;
  readonly succeeded: boolean;
  readonly blockNumber: bigint;
  /** 1 for the newest block. */
  readonly confirmations: bigint;
  readonly gasUsed: bigint;
  /** Total cost in wei, including the data fee of a rollup. */
  readonly costWei: bigint;
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
  /** What the transactions would cost this account. @throws NotOwnerError, ContractOwnerError, ContractRevertedError */
  estimatePrice(intents: readonly PaymentIntent[], from: Hex): Promise<PriceEstimate>;
  /**
   * Returns the price if the signer can pay it.
   *
   * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, InsufficientFundsError
   */
  requireAffordable(intents: readonly PaymentIntent[]): Promise<PriceEstimate>;
  /** Simulates, signs, passes the result to `beforeSend`, and broadcasts after that has returned. */
  send(
    intent: PaymentIntent,
    parameters: {
      /** The first nonce after the transactions known to be mined. The endpoint's count may be older. */
      readonly minimumNonce: number;
      readonly beforeSend: (signed: SignedTransaction) => Promise<void>;
    },
  ): Promise<TransactionHash>;
  /** Sends the same transaction again. Has no effect if the chain knows it already. */
  sendAgain(intent: PaymentIntent, signed: SignedTransaction): Promise<TransactionHash>;
  /** @throws ReceiptMismatchError if it succeeded without the event of the intent */
  readReceipt(intent: PaymentIntent, transactionHash: TransactionHash): Promise<MinedReceipt | undefined>;
  /** Number of the address's mined transactions: the next nonce it will use. */
  readNonce(address: Hex): Promise<number>;
  /** As `readNonce`, including pending transactions. */
  readPendingNonce(address: Hex): Promise<number>;
  /** The transaction that used a nonce, if the chain's history still shows it. */
  findTransaction(parameters: {
    readonly chainId: number;
    readonly from: Hex;
    readonly nonce: number;
    /** The transaction is not in an earlier block. */
    readonly fromBlock: bigint;
  }): Promise<FoundTransaction | undefined>;
}

export interface FoundTransaction {
  readonly transactionHash: TransactionHash;
  /** Whether the sender's key signed exactly this for the chain and nonce. */
  readonly isProven: boolean;
  /** Null for a contract creation. */
  readonly to: Hex | null;
  readonly data: Hex;
  /** 1 for the newest block. */
  readonly confirmations: bigint;
}
