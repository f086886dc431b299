import type { AppCompose } from "../core/app-compose.ts";
import type { JudgedContract } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId, Hex, TransactionHash } from "../core/ids.ts";
import type { JournalState, NewJournalEntry, PaymentIntent } from "./journal-state.ts";

/** What an update needs from the outside, and nothing more. `wire.ts` connects the real chain and cloud. */
export interface UpdatePorts {
  readonly cloud: CloudPort;
  readonly chain: ChainPort;
  readonly journal: JournalPort;
  readonly clock: Clock;
}

export interface Clock {
  /** Milliseconds; only differences count. */
  now(): number;
  /** Rejects with the signal's reason once it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** Append-only memory of what was paid and promised. */
export interface JournalPort {
  readonly state: JournalState;
  /** Returns once the entry would survive a power cut. */
  append(entry: NewJournalEntry): Promise<void>;
}

export interface CvmFacts {
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

export interface UpdateDraft {
  readonly dockerCompose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  readonly allowedEnvs?: readonly string[] | undefined;
  readonly publicLogs?: boolean | undefined;
  readonly publicSysinfo?: boolean | undefined;
  readonly publicTcbinfo?: boolean | undefined;
  readonly encryptedEnvironment?: string | undefined;
}

/** The change is under way. */
export interface PatchAccepted {
  readonly kind: "accepted";
  readonly correlationId: string;
}

/** The cloud waits for the hash to be allowed on chain. */
export interface RegistrationRequired {
  readonly kind: "registrationRequired";
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  /** Device the CVM will boot on. */
  readonly deviceId: DeviceId | undefined;
  readonly chainId: number | undefined;
  readonly correlationId: string | undefined;
}

/** The cloud's answers to both phases of an update. */
export type PatchAnswer = PatchAccepted | RegistrationRequired;

export interface CloudPort {
  readCvm(cvm: string): Promise<CvmFacts>;
  readAppCompose(cvm: string): Promise<AppCompose>;
  /**
   * The key to encrypt the app's environment to, 32 bytes of hex. Signed for this app by `kmsPublicKey` where that is given,
   * else the cloud's word.
   *
   * @throws UntrustedEncryptionKeyError
   */
  readEncryptionKey(
    cvm: string,
    parameters: { readonly appId: AppId; readonly kmsPublicKey: Hex | undefined },
  ): Promise<string>;
  patch(cvm: string, draft: UpdateDraft): Promise<PatchAnswer>;
  confirm(cvm: string, composeHash: ComposeHash, transactionHash: TransactionHash): Promise<PatchAnswer>;
  /** Why the last boot of the CVM failed, if it did. */
  readBootError(cvm: string): Promise<string | undefined>;
  /** Keyed digest: recognises a text without holding anything a guess could be tested against. */
  fingerprint(text: string): string;
}

export interface AllowlistFacts {
  readonly blockNumber: bigint;
  readonly owner: Hex;
  readonly composeHashAllowed: boolean;
  /** Listed, or any device may boot. True if the cloud named no device. */
  readonly deviceAllowed: boolean;
  /** The app and, where one is named, its KMS, with the generation each is of. */
  readonly contracts: readonly JudgedContract[];
}

/** A transaction with every field decided, as the journal keeps it. */
export interface SignedTransaction {
  readonly chainId: number;
  readonly from: Hex;
  readonly to: Hex;
  readonly data: Hex;
  readonly nonce: number;
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Both absent where a remote wallet signs. */
  readonly rawTransaction?: Hex | undefined;
  readonly transactionHash?: TransactionHash | undefined;
}

export interface ReceiptFacts {
  readonly transactionHash: TransactionHash;
  readonly succeeded: boolean;
  readonly blockNumber: bigint;
  /** 1 for the newest block. */
  readonly confirmations: bigint;
  readonly gasUsed: bigint;
  /** Everything the transaction cost, the data fee of a rollup included. */
  readonly costWei: bigint;
}

export interface ChainPort {
  /** Address that signs, if there is one. */
  readonly signer: Hex | undefined;
  readChainId(): Promise<number>;
  /** The KMS with its generation; empty if no KMS is there. */
  judgeKms(kms: Hex): Promise<readonly JudgedContract[]>;
  /** What a DstackKms publishes as its key; undefined if it publishes none. */
  readKmsPublicKey(kms: Hex): Promise<Hex | undefined>;
  readAllowlist(parameters: {
    readonly appId: AppId;
    readonly composeHash: ComposeHash;
    readonly deviceId: DeviceId | undefined;
    /** Whose generation is read beside the app's. */
    readonly kms?: Hex | undefined;
  }): Promise<AllowlistFacts>;
  /** @throws NotOwnerError, ContractOwnerError, ContractRevertedError, InsufficientFundsError */
  requireAffordable(intents: readonly PaymentIntent[]): Promise<void>;
  /** Simulates, signs, hands the result to `beforeSend` and broadcasts only once that has returned. */
  send(
    intent: PaymentIntent,
    parameters: {
      /** Of transactions known to be mined: an endpoint may still count without them. */
      readonly minimumNonce: number;
      readonly beforeSend: (signed: SignedTransaction) => Promise<void>;
    },
  ): Promise<TransactionHash>;
  /** The same transaction once more. Harmless if the chain knows it already. */
  sendAgain(intent: PaymentIntent, signed: SignedTransaction): Promise<TransactionHash>;
  /** @throws ReceiptMismatchError if it succeeded without the event of the intent */
  readReceipt(intent: PaymentIntent, transactionHash: TransactionHash): Promise<ReceiptFacts | undefined>;
  /** Transactions of the address mined so far, so the nonce it will use next. */
  readNonce(address: Hex): Promise<number>;
  /** As `readNonce`, with those waiting to be mined. */
  readPendingNonce(address: Hex): Promise<number>;
  /** What used a nonce that is used up, if the chain's history still tells. */
  findTransaction(parameters: {
    readonly from: Hex;
    readonly nonce: number;
    /** It is not in an earlier block. */
    readonly fromBlock: bigint;
  }): Promise<FoundTransaction | undefined>;
}

export interface FoundTransaction {
  readonly transactionHash: TransactionHash;
  /** Null for one that creates a contract. */
  readonly to: Hex | null;
  readonly data: Hex;
  /** 1 for the newest block. */
  readonly confirmations: bigint;
}
