import { type ContractOwnerKind, DstackError, type DstackErrorOptions, nextSteps } from "./base.ts";

type Cause = Pick<DstackErrorOptions, "cause">;

abstract class ChainError extends DstackError {
  readonly family = "chain";
}

/** How an endpoint failed. All text is safe to print. */
export interface EndpointFailure {
  /** The endpoint's own message, or what is wrong with its answer. */
  readonly said?: string | undefined;
  /** Why no answer came, if the network or the time limit is the cause. */
  readonly reason?: string | undefined;
  /** Code of the system for that, such as ECONNREFUSED, or TIMEOUT. */
  readonly failure?: string | undefined;
  /** HTTP status of the answer. */
  readonly status?: number | undefined;
  /** Media type of the answer. */
  readonly contentType?: string | undefined;
}

export class RpcUnavailableError extends ChainError {
  override readonly name = "RpcUnavailableError";
  readonly failure: EndpointFailure;
  constructor(doing: string, { cause, ...failure }: Cause & EndpointFailure = {}) {
    const { said, reason, ...facts } = failure;
    const detail = said ?? reason;
    const problem = said === undefined ? "did not answer" : "gave no usable answer";
    super(`The RPC endpoint ${problem} while ${doing}${detail === undefined ? "" : ` (${detail})`}.`, {
      cause,
      nextStep: `${adviceOn(failure)} No transaction is paid twice.`,
      context: { doing, ...definedOf({ said, reason, ...facts }) },
    });
    this.failure = failure;
  }
}

const adviceOnStatus: Readonly<Record<number, string>> = {
  401: "Check the API key of the RPC endpoint.",
  403: "Check the API key of the RPC endpoint, and what its plan allows.",
  404: "Check the path of the RPC URL.",
  429: "The endpoint limits the number of requests. Wait, then try again, or use another endpoint.",
};

/** How nodes say that lower nonces of the account are unused. They have no code for it. */
const gap = /nonce too high|gapped-?nonce/i;

function adviceOn({ said, status, failure }: EndpointFailure): string {
  if (said !== undefined && gap.test(said))
    return "Lower nonces of this account are unused. Other transactions of the account use them; send this one again then.";
  if (failure === "TIMEOUT") return "Use a faster RPC endpoint, or raise its `timeout`.";
  const advice = status === undefined ? undefined : adviceOnStatus[status];
  if (advice !== undefined) return advice;
  if (status !== undefined && status >= 500)
    return "The endpoint has a fault. Try again later, or use another endpoint.";
  return "Check the RPC URL and the network connection, then try again.";
}

function definedOf(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export class WrongChainError extends ChainError {
  override readonly name = "WrongChainError";
  constructor(expected: number, actual: number) {
    super(`The RPC endpoint serves chain ${actual}, not chain ${expected}.`, {
      nextStep: `Use an RPC URL of chain ${expected}.`,
      context: { expected, actual },
    });
  }
}

export class NoContractError extends ChainError {
  override readonly name = "NoContractError";
  constructor(address: string, chainId?: number) {
    super(`There is no contract at ${address}${chainId === undefined ? "" : ` on chain ${chainId}`}.`, {
      nextStep: "Check the address, and check that the RPC endpoint serves the chain of the contract.",
      context: { address, chainId },
    });
  }
}

export interface NotOwnerDetails {
  readonly contract: string;
  readonly signer: string;
  readonly owner: string;
  /** For a call that accepts ownership: the invited owner, the only account that may make it. */
  readonly invited?: string;
}

export class NotOwnerError extends ChainError {
  override readonly name: "NotOwnerError" | "ContractOwnerError" = "NotOwnerError";
  readonly signer: string;
  readonly owner: string;
  readonly ownerIsContract: boolean = false;
  constructor(details: NotOwnerDetails, options: DstackErrorOptions = {}) {
    const { signer, contract, owner, invited } = details;
    const isInvitation = invited !== undefined;
    const refusal = isInvitation
      ? `${signer} cannot accept the ownership of ${contract}: the invited owner is ${invited}.`
      : `${signer} cannot change ${contract}: its owner is ${owner}.`;
    super(refusal, {
      nextStep: isInvitation ? "Sign with the key of the invited owner." : "Sign with the key of the owner.",
      ...options,
      context: { ...details, ...options.context },
    });
    this.signer = signer;
    this.owner = owner;
  }
}

/**
 * A NotOwnerError that no other key can solve: the owner or the invited owner is a Safe, a timelock or another
 * contract.
 */
export class ContractOwnerError extends NotOwnerError {
  override readonly name = "ContractOwnerError";
  override readonly ownerIsContract = true;
  constructor(
    { ownerKind = "contract", ...details }: NotOwnerDetails & { readonly ownerKind?: ContractOwnerKind },
    options: Cause = {},
  ) {
    super(details, { ...options, nextStep: nextSteps[ownerKind], context: { ownerKind } });
  }
}

export class InsufficientFundsError extends ChainError {
  override readonly name = "InsufficientFundsError";
  /**
   * @param balanceWei undefined if the endpoint does not tell it
   * @param neededWei highest cost of the transaction, if it is known
   */
  constructor(signer: string, balanceWei: bigint | undefined, neededWei?: bigint) {
    const has = balanceWei === undefined ? undefined : `it has ${balanceWei} wei`;
    const needed = neededWei === undefined ? "" : ` of the ${neededWei} wei it may cost`;
    const figures = has === undefined ? needed.replace(" of the", "it needs the") : `${has}${needed}`;
    super(`${signer} cannot pay for the transaction${figures === "" ? "" : `: ${figures}`}.`, {
      nextStep: "Send ETH to the signer on this chain, then try again.",
      context: {
        signer,
        ...(balanceWei !== undefined && { balanceWei: balanceWei.toString() }),
        ...(neededWei !== undefined && { neededWei: neededWei.toString() }),
      },
    });
  }
}

export interface ContractRevertedDetails {
  readonly contract: string;
  readonly functionName: string;
  /** Decoded revert text or custom error, if the node gave one. */
  readonly reason: string | undefined;
}

export class ContractRevertedError extends ChainError {
  override readonly name = "ContractRevertedError";
  constructor(details: ContractRevertedDetails, options: Cause = {}) {
    super(`${details.functionName} on ${details.contract} would revert: ${details.reason ?? "no reason given"}.`, {
      ...options,
      nextStep: "Nothing was sent. Check the contract's version and state.",
      context: { ...details },
    });
  }
}

export class TransactionRevertedError extends ChainError {
  override readonly name = "TransactionRevertedError";
  constructor(transactionHash: string, functionName: string) {
    super(`Transaction ${transactionHash} (${functionName}) was mined and reverted; its gas is spent.`, {
      nextStep: "Look at the transaction in a block explorer. Another run sends a new transaction.",
      context: { transactionHash, functionName },
    });
  }
}

export class ReceiptTimeoutError extends ChainError {
  override readonly name = "ReceiptTimeoutError";
  /** @param options.said how the endpoint failed at last, if it did not answer that there is no receipt yet */
  constructor(
    transactionHash: string,
    waitedMs: number,
    { said, ...options }: Cause & Pick<EndpointFailure, "said"> = {},
  ) {
    const seconds = Math.round(waitedMs / 1000);
    const last = said === undefined ? "" : ` (at last: ${said})`;
    super(`The endpoint returned no receipt of ${transactionHash} in ${seconds} s${last}.`, {
      ...options,
      nextStep: "Try again. The next run waits for this transaction and does not send another one.",
      context: { transactionHash, waitedMs, ...(said !== undefined && { said }) },
    });
  }
}

export interface ReceiptMismatchDetails {
  readonly transactionHash: string;
  readonly eventName: string;
  readonly emitter: string;
  readonly expected: string;
  readonly found: readonly string[];
}

export class ReceiptMismatchError extends ChainError {
  override readonly name = "ReceiptMismatchError";
  constructor(details: ReceiptMismatchDetails) {
    super(
      `Transaction ${details.transactionHash} has no event ${details.eventName}(${details.expected}) of ${details.emitter}.`,
      {
        nextStep:
          "The contract at this address is another one than expected, or not a dstack contract. Check the address.",
        context: { ...details },
      },
    );
  }
}

/** What is known about the transaction that uses the nonce of a recorded one. */
export type NonceTaker =
  /** Mined, with other calldata or another target than the recorded one. */
  | { readonly kind: "mined"; readonly transactionHash: string }
  /** The nonce is used, and the endpoint does not tell by which transaction. */
  | { readonly kind: "notFound" }
  /** Waits to be mined. It may be the recorded one, whose hash the signer never reported. */
  | { readonly kind: "waiting" }
  /** Other transactions took one nonce after the other. `nonce` of the error is the last one. */
  | { readonly kind: "lost"; readonly nonces: readonly number[] };

export class NonceTakenError extends ChainError {
  override readonly name = "NonceTakenError";
  readonly taker: NonceTaker | undefined;
  /** @param taker absent if nothing looked for it */
  constructor(signer: string, nonce: number, transactionHash: string | undefined, taker?: NonceTaker) {
    const [problem, nextStep] = describeTaker({ signer, nonce, transactionHash, taker });
    const by = taker?.kind === "mined" ? { takenBy: taker.transactionHash } : {};
    super(problem, { nextStep, context: { signer, nonce, transactionHash, ...by } });
    this.taker = taker;
  }
}

const checkNonce = "Check in a block explorer which transaction used that nonce.";

interface TakenNonce {
  readonly signer: string;
  readonly nonce: number;
  /** Hash of the recorded transaction, if the ledger has it. */
  readonly transactionHash: string | undefined;
  readonly taker: NonceTaker | undefined;
}

function describeTaker({ signer, nonce, transactionHash, taker }: TakenNonce): [problem: string, nextStep: string] {
  const taken = `nonce ${nonce} of ${signer}`;
  switch (taker?.kind) {
    case "mined":
      return [
        `Transaction ${taker.transactionHash} used ${taken}, and it is not the recorded one.`,
        "The recorded transaction can never be mined. Look at the other one in a block explorer, then try again.",
      ];
    case "notFound":
      return [
        `A transaction used ${taken}, but the endpoint does not show which one. It may be the recorded one.`,
        "The endpoint has not kept the states that show it. Use an endpoint that keeps old states. Or find the transaction with this nonce in a block explorer, and name it with `transactionHash`.",
      ];
    case "waiting":
      return [
        `A transaction with ${taken} waits to be mined. It may be the recorded one.`,
        transactionHash === undefined
          ? "Try again after that transaction was mined."
          : `Try again after that transaction was mined. An update can use the nonce for an empty call instead: pass \`abandonTransaction: ${transactionHash}\`.`,
      ];
    case "lost":
      return [
        `Other transactions of ${signer} used the nonces ${taker.nonces.join(", ")} before this one was mined.`,
        "Another program sends transactions with this key. Stop it, then try again. Nothing of this one was mined, and no record of it is left.",
      ];
    default:
      return [`Another transaction than the recorded one used ${taken}.`, checkNonce];
  }
}

export interface UnsignedRecordDetails {
  readonly from: string;
  readonly nonce: number;
  readonly functionName: string;
  /** Whether the sender's key is in this process, which then never leaves a record without signed bytes. */
  readonly isKeyHere: boolean;
}

export class UnsignedRecordError extends ChainError {
  override readonly name = "UnsignedRecordError";
  constructor({ from, nonce, functionName, isKeyHere }: UnsignedRecordDetails) {
    super(
      `The ledger holds ${functionName} by ${from}, nonce ${nonce}, without a signature that proves who recorded it.`,
      {
        nextStep: isKeyHere
          ? "It was not sent. This process records the signed bytes with every transaction of its own keys, so another program wrote this record. Look at the ledger, then move it away."
          : "It was not sent. If an earlier run of yours asked the node or the wallet to sign it, try again with `confirmUnsigned`. Otherwise move the ledger away.",
        context: { from, nonce, functionName },
      },
    );
  }
}

export interface ImplausibleAnswerDetails {
  /** Name and unit of the value: "the gas of addDevice". */
  readonly what: string;
  readonly answer: bigint | number;
  /** Highest value that this package accepts. */
  readonly most: bigint | number;
}

export class UpgradeMismatchError extends ChainError {
  override readonly name = "UpgradeMismatchError";
  /** @param problem one sentence @param previous the implementation before the upgrade; undefined for a new app */
  constructor(problem: string, { appId, previous }: { readonly appId: string; readonly previous: string | undefined }) {
    super(`The app ${appId} does not answer as it must: ${problem}`, {
      nextStep:
        previous === undefined
          ? "Start no CVM with this app. Look at its contract, and deploy another app."
          : `Do not restart its CVMs. Look at the app. If the answer is right, upgrade it back to ${previous}.`,
      context: { appId, previous, problem },
    });
  }
}

export class ImplausibleAnswerError extends ChainError {
  override readonly name = "ImplausibleAnswerError";
  constructor({ what, answer, most }: ImplausibleAnswerDetails) {
    super(`The RPC endpoint answers ${answer} as ${what}; this package signs for at most ${most}.`, {
      nextStep:
        "Use another RPC endpoint. If it gives the same answer, look at the account and the contract before you continue.",
      context: { what, answer: answer.toString(), most: most.toString() },
    });
  }
}

export interface RefusedBlocks {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

export class LogsRefusedError extends ChainError {
  override readonly name = "LogsRefusedError";
  constructor({ fromBlock }: RefusedBlocks, answer: string, options: Cause = {}) {
    super(`The RPC endpoint refuses the logs of the single block ${fromBlock}: ${answer}`, {
      ...options,
      nextStep: "Use another RPC endpoint, or another plan of its provider. No request is smaller than one block.",
      context: { blockNumber: fromBlock.toString(), answer },
    });
  }
}

export class LogsUnavailableError extends ChainError {
  override readonly name = "LogsUnavailableError";
  constructor({ fromBlock, toBlock }: RefusedBlocks, answer: string, options: Cause = {}) {
    super(`The RPC endpoint does not serve the logs of blocks ${fromBlock} to ${toBlock}: ${answer}`, {
      ...options,
      nextStep: "Use an RPC endpoint that keeps all logs since the creation of the app.",
      context: { fromBlock: fromBlock.toString(), toBlock: toBlock.toString(), answer },
    });
  }
}

export class LogIndexError extends ChainError {
  override readonly name = "LogIndexError";
  constructor(index: string, { fromBlock, toBlock }: RefusedBlocks, answer: string) {
    super(`The index ${index} did not deliver the logs of blocks ${fromBlock} to ${toBlock}: ${answer}.`, {
      nextStep: "Try again later, name another index, or read without one: the chain's endpoint has the same logs.",
      context: { index, fromBlock: fromBlock.toString(), toBlock: toBlock.toString(), answer },
      retryable: true,
    });
  }
}

const storeProblems = {
  damaged: ["is damaged", "Delete it. The next run reads the history from the chain again."],
  foreign: ["is not a history store", "Give the path of a history store, or a path where no file exists."],
  newer: ["was written by a newer version", "Update this package, or give another path."],
  unusable: ["cannot be opened or written", "Check its folder, its permissions and the free space."],
  full: [
    "cannot be written, because the disk is full or fails",
    "Free some space, then try again. It keeps what it has.",
  ],
  locked: ["is locked by another process", "Wait until the other process has ended, then try again."],
} as const;

export type HistoryStoreProblem = keyof typeof storeProblems;

export class HistoryStoreError extends ChainError {
  override readonly name = "HistoryStoreError";
  readonly problem: HistoryStoreProblem;
  constructor(path: string, problem: HistoryStoreProblem, options: Cause = {}) {
    const [what, nextStep] = storeProblems[problem];
    super(`The history store ${path} ${what}.`, {
      ...options,
      nextStep,
      context: { path, problem },
      retryable: problem === "locked",
    });
    this.problem = problem;
  }
}
