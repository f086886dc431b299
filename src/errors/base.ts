// Two copies of this package can be loaded in one process (one by a plugin, one by an app), so `instanceof` is not
// enough.
const marker = Symbol.for("dstack-toolkit.error");

export interface DstackErrorOptions {
  /** What the caller should do next. Names parameters and functions of the library in backticks, as `mode: none`. */
  readonly nextStep?: string | undefined;
  /** The values that explain the error, for logs and `--json`. Never a secret. */
  readonly context?: Readonly<Record<string, unknown>> | undefined;
  /** Sentences that end the message. Output for people gives each a line of its own. */
  readonly items?: readonly string[] | undefined;
  readonly cause?: unknown;
  /** Overrides `errorTable` for this error only, for example for a 503 among refusals. */
  readonly retryable?: boolean | undefined;
}

/** Base class of every error this package throws on purpose. `message` is one sentence; `nextStep` says what to do. */
export abstract class DstackError extends Error {
  abstract override readonly name: ErrorName;
  abstract readonly family: ErrorFamily;
  readonly nextStep: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  /** The sentences at the end of the message that are a list. Mostly empty. */
  readonly items: readonly string[];
  readonly #retryable: boolean | undefined;

  constructor(message: string, options: DstackErrorOptions = {}) {
    const { cause, items = [] } = options;
    super([message, ...items].join(" "), cause === undefined ? undefined : { cause });
    this.items = items;
    this.nextStep = options.nextStep;
    this.context = options.context ?? {};
    this.#retryable = options.retryable;
    Object.defineProperty(this, marker, { value: true });
  }

  get code(): ErrorCode {
    return errorTable[this.name].code;
  }

  get retryable(): boolean {
    return this.#retryable ?? errorTable[this.name].retryable;
  }

  get exitCode(): number {
    return exitCodes[this.family];
  }

  /** The error as one JSON object, without stack or cause. */
  toJSON() {
    const { code, name, message, nextStep, retryable, context } = this;
    return { code, name, message, nextStep, retryable, context };
  }
}

/**
 * @example
 * import { isDstackError } from "dstack-toolkit";
 * process.on("uncaughtException", (error) => {
 *   if (isDstackError(error)) console.error(error.code, error.message, error.nextStep);
 * });
 */
export function isDstackError(value: unknown): value is DstackError {
  return value instanceof Error && marker in value;
}

/** The area of the error: the caller's input, the chain or its RPC endpoint, the cloud, the update flow, or prune. */
export type ErrorFamily = "input" | "chain" | "cloud" | "update" | "prune";

export interface ErrorEntry {
  readonly code: `DSTK-${number}`;
  /** Whether the same call, unchanged, may succeed later. */
  readonly retryable: boolean;
  /** One line for docs/errors.md. */
  readonly summary: string;
}

/** Process exit code of each family. 1 means an unexpected error; 6 means that a command's answer is no. */
export const exitCodes: Readonly<Record<ErrorFamily, number>> = { input: 2, chain: 3, cloud: 4, update: 5, prune: 7 };

/** Every error this package throws on purpose, by class name. docs/errors.md lists the same rows. */
export const errorTable = {
  InvalidHexError: entry(1001, false, "A hash, id, address or key is not hex of the exact width asked for."),
  InvalidAppComposeError: entry(1002, false, "An app-compose document or its docker-compose file is malformed."),
  PayloadTooLargeError: entry(1003, false, "Compose file and pre-launch script together exceed 200 KiB."),
  InvalidEnvironmentError: entry(1004, false, "An environment variable or .env file is malformed."),
  EnvironmentDecryptionError: entry(1005, false, "An encrypted environment does not open with this key."),
  UntrustedEncryptionKeyError: entry(1006, false, "An app's encryption key is not signed by the expected KMS key."),
  InvalidArgumentError: entry(1007, false, "An argument cannot be used."),
  UnprovenEncryptionKeyError: entry(
    1008,
    false,
    "No trusted KMS has signed the key that would encrypt the environment.",
  ),
  LintRefusedError: entry(1101, false, "The linter found an error that the caller did not accept by name."),
  HashNeededError: entry(
    1102,
    false,
    "A CVM, a prepared update or a pin needs, or may need, a compose hash that would be removed.",
  ),
  DeviceNeededError: entry(1103, false, "A CVM is on, or may be on, a device that would no longer be allowed."),
  UpgradeRefusedError: entry(
    1104,
    false,
    "An implementation is unsafe for the app, would lose its data or would shut it out, or that is not known.",
  ),
  KeyEpochsError: entry(
    1201,
    false,
    "A contract approves per key epoch, or may, and the caller did not accept that by name.",
  ),
  UnusableFileError: entry(
    1301,
    false,
    "A file is not a regular file, is too large, cannot be opened, or may come from another user.",
  ),
  InvalidProposalFileError: entry(
    1302,
    false,
    "A file is not a proposal of a Safe transaction, or is about another transaction.",
  ),
  MissingPackageError: entry(1401, false, "An entry point needs a package that is not installed."),

  RpcUnavailableError: entry(2001, true, "The RPC endpoint does not answer, or answers with an error."),
  WrongChainError: entry(2002, false, "The RPC endpoint serves another chain than the expected one."),
  NoContractError: entry(2003, false, "The address has no contract code."),
  NotOwnerError: entry(2004, false, "The signer is not the owner of the contract."),
  ContractOwnerError: entry(2005, false, "The owner is a contract, so no single key can sign for it."),
  InsufficientFundsError: entry(2006, false, "The signer cannot pay for the transaction."),
  ContractRevertedError: entry(2007, false, "The contract reverts the call in a simulation; nothing was sent."),
  TransactionRevertedError: entry(2008, false, "The transaction was mined and reverted."),
  ReceiptTimeoutError: entry(
    2009,
    true,
    "The endpoint returned no receipt in time; the transaction may still be mined.",
  ),
  ReceiptMismatchError: entry(2010, false, "The receipt lacks the event that the call must emit."),
  NonceTakenError: entry(2011, false, "Another transaction of the signer used the nonce of a recorded one."),
  ImplausibleAnswerError: entry(
    2012,
    false,
    "The RPC endpoint answers a number above the highest that this package signs for.",
  ),
  UnsignedRecordError: entry(
    2013,
    false,
    "The ledger holds a transaction without signed bytes, and no person confirmed it.",
  ),
  LedgerError: entry(2014, false, "The ledger of transactions cannot be used, or holds a claim that is not true."),
  TransactionUnderpricedError: entry(
    2015,
    true,
    "The base fee rose above the highest price of a recorded transaction.",
  ),
  FinalityTimeoutError: entry(2016, true, "The block of a mined transaction did not become safe or final in time."),
  TransactionCancelledError: entry(
    2017,
    false,
    "A recorded transaction was cancelled while this process waited for it.",
  ),
  NonceBlockedError: entry(2018, false, "A recorded removal that must be checked first has the account's next nonce."),
  UpgradeMismatchError: entry(2019, false, "After an upgrade or a deployment, the app does not answer as it must."),
  LogsRefusedError: entry(2101, false, "The RPC endpoint refuses the logs of a single block."),
  LogsUnavailableError: entry(2102, false, "The RPC endpoint does not have the logs of these blocks."),
  HistoryStoreError: entry(2103, false, "The history store is damaged, or this version cannot use it."),
  LogIndexError: entry(2104, true, "An index of logs did not deliver the logs of some blocks."),

  BatchStoppedError: entry(2201, true, "A batch in several transactions stopped before its last one."),
  NoEffectError: entry(2202, false, "A call of the batch would change nothing."),
  ForeignDelegationError: entry(2203, false, "The account delegates to another contract than the batch executor."),
  DelegationUnsupportedError: entry(2204, false, "The account or the node cannot delegate by EIP-7702."),
  ExecutorMismatchError: entry(2205, false, "The code at the batch executor's address is not the batch executor's."),
  ExecutionNotProvenError: entry(2206, false, "A transaction is not, or not exactly, the execution of a plan."),

  UnplannedSafeTransactionError: entry(2301, false, "A Safe transaction does not make exactly the plan's calls."),
  SafeNonceError: entry(2302, false, "The Safe cannot execute a transaction with this nonce, or not yet."),
  SafeConfirmationsError: entry(2303, false, "Fewer owners have confirmed a Safe transaction than the Safe requires."),
  NotSafeOwnerError: entry(2304, false, "The signer is not an owner of the Safe."),

  TimelockOperationError: entry(
    2401,
    false,
    "An operation of a timelock is not scheduled, was cancelled, or was executed already.",
  ),
  TimelockNotReadyError: entry(2402, true, "An operation of a timelock cannot be executed yet."),
  TimelockRoleError: entry(2403, false, "The account has not the role that the timelock demands for the call."),
  OperationsAlikeError: entry(2404, false, "Several pending operations of a timelock make the plan's calls."),
  TimelockDependentsError: entry(2405, false, "Another pending operation of the timelock waits for the operation."),

  CloudUnreachableError: entry(3001, true, "The cloud API does not answer."),
  CloudResponseError: entry(3002, false, "The cloud API refused the request."),
  CloudProtocolError: entry(3003, false, "The cloud API answered in a form that this client does not know."),
  UnauthorizedError: entry(3004, false, "The API key is missing, is wrong, or lacks the permission."),
  CvmNotFoundError: entry(3005, false, "No CVM matches the identifier."),
  CvmBusyError: entry(3006, true, "Another operation on this CVM is still running."),
  HashExpiredError: entry(3007, false, "The cloud no longer has the prepared update of this compose hash (466)."),
  TransactionNotVerifiedError: entry(3008, true, "The cloud could not verify the transaction (467)."),
  HashNotAllowedError: entry(3009, false, "The contract does not allow the compose hash (468)."),
  KmsDowngradeError: entry(
    3010,
    false,
    "The cloud says that a CVM has no contract, but its app is known to be on a chain.",
  ),
  SafeServiceUnreachableError: entry(3101, true, "The Safe transaction service does not answer."),
  SafeServiceError: entry(3102, false, "The Safe transaction service refuses a request, or its answer cannot be read."),
  SafeServiceContradictedError: entry(
    3103,
    false,
    "The chain or its own data disproves what the Safe transaction service says.",
  ),

  HashMismatchError: entry(4001, false, "The cloud's compose hash is not the hash of the requested document."),
  RolloverTimeoutError: entry(4002, true, "The CVM did not end the update in time."),
  RolloverFailedError: entry(4003, false, "The CVM did not boot the new compose file."),
  SignerRequiredError: entry(4006, false, "A transaction is needed, and the caller gave no signer."),
  UnexpectedDeviceError: entry(4007, false, "The cloud names a device that the update may not allow."),
  UnprovenDocumentError: entry(4008, false, "The app does not allow the document that the update starts from."),
  RegistrationMissingError: entry(4009, true, "The app does not allow yet what a prepared update needs."),
  UpdateOvertakenError: entry(4010, false, "The CVM has another document than the one that the update starts from."),
  ApprovedHashChangedError: entry(
    4011,
    false,
    "An update that was prepared again has another compose hash than the one that the owners allowed.",
  ),
  RollingUpdateStoppedError: entry(4012, false, "An update of several CVMs stopped before its last one."),
  RevisionRefusedError: entry(4013, false, "The app does not allow the compose hash of the revision, or no longer."),
  RevisionNotReproducibleError: entry(4014, false, "An update cannot make the document of the revision."),

  PruneBlockedError: entry(
    5001,
    false,
    "A fact that decides what may be removed is not known, and the caller did not accept that.",
  ),
  PruneOvertakenError: entry(
    5002,
    false,
    "A hash came into use, or the app or the chain changed, after the prune was planned.",
  ),
  InvalidPlanFileError: entry(
    5003,
    false,
    "A file is not a plan, was changed after it was written, or is for another app.",
  ),
  PrunedHashInUseError: entry(5004, false, "A hash came into use while it was being removed."),
  HistoryContradictedError: entry(5005, false, "The chain does not have an event that the history store holds."),
  PlanOvertakenError: entry(5006, false, "A fact that a plan rests on changed after the plan was made."),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorName = keyof typeof errorTable;
export type ErrorCode = (typeof errorTable)[ErrorName]["code"];

function entry<const Number extends number>(number: Number, retryable: boolean, summary: string) {
  return { code: `DSTK-${number}`, retryable, summary } as const;
}

/** How to make a change if the owner is a contract. */
export const nextSteps = {
  safe: "The owners of the Safe must sign. Prepare the change for them with `buildSafeBatch`.",
  timelock:
    "An account with the timelock's PROPOSER_ROLE must schedule the change. After the delay, an account with its EXECUTOR_ROLE must execute it. `buildTimelockBatch` encodes both calls.",
  contract: "The contract that owns it must make the change. Propose the change there.",
} as const;

/** Kind of contract that owns another contract: the kinds of `readOwner` for which no single key can sign. */
export type ContractOwnerKind = keyof typeof nextSteps;

/** A reason not to make a change, which the caller can accept. */
export interface RemovalObjection {
  /** The name by which the caller accepts it. */
  readonly acceptAs: string;
  /** One sentence. */
  readonly problem: string;
}

/** The names that accept the objections, for `accepted`. */
export function namesOf(objections: readonly RemovalObjection[]): string {
  return [...new Set(objections.map(({ acceptAs }) => acceptAs))].join(",");
}

/** One sentence for each, with the name that accepts it. */
export function describeObjections(objections: readonly RemovalObjection[]): readonly string[] {
  return objections.map(({ problem, acceptAs }) => `${problem} (${acceptAs})`);
}
