import { DstackError, type DstackErrorOptions } from "./base.ts";

type Cause = Pick<DstackErrorOptions, "cause">;

abstract class LedgerFamilyError extends DstackError {
  readonly family = "chain";
}

const problems = {
  damaged: [
    "is damaged",
    "Keep the file, because it lists the transactions that were sent. Check the chain before you move it away.",
  ],
  foreign: ["is not a ledger", "Give the path of a ledger, or a path where no file exists."],
  newer: ["was written by a newer version", "Update this package, or give another path."],
  unusable: [
    "cannot be opened or written",
    "Check its folder, its permissions and the free space. No transaction is sent before it is recorded.",
  ],
  full: [
    "cannot be written, because the disk is full or fails",
    "Nothing was sent that it does not hold. Free some space, then try again.",
  ],
  locked: ["is locked by another process", "Wait until the other process has ended, then try again."],
} as const;

export type LedgerProblem = keyof typeof problems;

export class LedgerError extends LedgerFamilyError {
  override readonly name = "LedgerError";
  readonly problem: LedgerProblem;
  /** @param options.detail what a record claims wrongly, as the end of a sentence */
  constructor(path: string, problem: LedgerProblem, options: Cause & { readonly detail?: string | undefined } = {}) {
    const [what, nextStep] = problems[problem];
    const { detail, ...cause } = options;
    super(`The ledger ${path} ${detail === undefined ? what : `is not valid: ${detail}`}.`, {
      ...cause,
      nextStep,
      context: { path, problem, ...(detail !== undefined && { detail }) },
      retryable: problem === "locked",
    });
    this.problem = problem;
  }
}

export interface UnderpricedDetails {
  readonly signer: string;
  readonly nonce: number;
  readonly functionName: string;
  readonly transactionHash: string | undefined;
  /** Wei per gas. */
  readonly maxFeePerGas: bigint;
  /** Of the newest block, in wei per gas. Undefined if the node refuses the price and the base fee is not above it. */
  readonly baseFeePerGas: bigint | undefined;
}

export class TransactionUnderpricedError extends LedgerFamilyError {
  override readonly name = "TransactionUnderpricedError";
  readonly details: UnderpricedDetails;
  constructor(details: UnderpricedDetails, options: Cause = {}) {
    const { signer, nonce, functionName, maxFeePerGas, baseFeePerGas, transactionHash } = details;
    const why =
      baseFeePerGas === undefined ? "but the node requires more" : `but the base fee is ${inGwei(baseFeePerGas)} gwei`;
    super(
      `${functionName} of ${signer}, nonce ${nonce}, pays at most ${inGwei(maxFeePerGas)} gwei per gas, ${why}. It is not mined.`,
      {
        ...options,
        nextStep:
          "It is recorded. Replace it by the same call with a higher fee (`replaceTransaction`), cancel it (`cancelTransaction`), or wait until the base fee falls.",
        context: {
          ...{ signer, nonce, functionName, transactionHash },
          maxFeePerGas: maxFeePerGas.toString(),
          ...(baseFeePerGas !== undefined && { baseFeePerGas: baseFeePerGas.toString() }),
        },
      },
    );
    this.details = details;
  }
}

export interface RecordDetails {
  readonly from: string;
  readonly nonce: number;
  readonly functionName: string;
}

export class TransactionCancelledError extends LedgerFamilyError {
  override readonly name = "TransactionCancelledError";
  constructor({ from, nonce, functionName }: RecordDetails, by: string | undefined) {
    const how = by === undefined ? "was withdrawn" : `was cancelled by transaction ${by}`;
    super(`${functionName} of ${from}, nonce ${nonce}, ${how}.`, {
      nextStep: "The call was not executed. The next run sends it again, with another nonce.",
      context: { from, nonce, functionName, ...(by !== undefined && { cancelledBy: by }) },
    });
  }
}

export class NonceBlockedError extends LedgerFamilyError {
  override readonly name = "NonceBlockedError";
  constructor({ from, nonce, functionName }: RecordDetails) {
    super(`An earlier prune recorded ${functionName} with nonce ${nonce} of ${from}, and did not send it.`, {
      nextStep:
        "Nothing was sent. Run that prune again: it checks whether the removal is still safe, then sends it. Or cancel it (`cancelTransaction`).",
      context: { from, nonce, functionName },
    });
  }
}

export interface FinalityDetails {
  readonly tag: string;
  /** The transactions that are mined. */
  readonly transactionHashes: readonly string[];
  /** The newest block that holds one of them. */
  readonly blockNumber: bigint;
  /** The block that the tag names. Undefined if the endpoint does not know the tag. */
  readonly taggedBlock: bigint | undefined;
}

export class FinalityTimeoutError extends LedgerFamilyError {
  override readonly name = "FinalityTimeoutError";
  constructor({ tag, transactionHashes, blockNumber, taggedBlock }: FinalityDetails, waitedMs: number) {
    const seconds = Math.round(waitedMs / 1000);
    const reached = taggedBlock === undefined ? "" : `, and the endpoint's ${tag} block is ${taggedBlock}`;
    super(`Block ${blockNumber}, which holds the transactions, did not become ${tag} in ${seconds} s${reached}.`, {
      nextStep:
        "The transactions are mined and recorded. The next run waits for them again and pays nothing. Or wait for an earlier stage: `until`.",
      context: {
        tag,
        transactionHashes,
        blockNumber: `${blockNumber}`,
        taggedBlock: taggedBlock?.toString(),
        waitedMs,
      },
    });
  }
}

/** Writes wei as gwei, without zeros at the end. */
function inGwei(wei: bigint): string {
  const digits = wei.toString().padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, "");
}
