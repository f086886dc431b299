import { DstackError, type DstackErrorOptions } from "./base.ts";

type Cause = Pick<DstackErrorOptions, "cause">;

abstract class LedgerFamilyError extends DstackError {
  readonly family = "chain";
}

const problems = {
  damaged: [
    "is damaged",
    "Keep the file: it says which transactions were sent. Check the chain before you move it away.",
  ],
  foreign: ["is not a ledger", "Give the path of a ledger, or of a file that does not exist."],
  newer: ["was written by a newer version", "Update this package, or give another path."],
  unusable: [
    "cannot be opened or written",
    "Check its folder, its permissions and the free space. Nothing is sent that is not on record.",
  ],
  locked: ["is held by another process", "Wait for the other process to finish, then run the same command again."],
} as const;

export type LedgerProblem = keyof typeof problems;

export class LedgerError extends LedgerFamilyError {
  override readonly name = "LedgerError";
  readonly problem: LedgerProblem;
  /** @param options.detail what a record claims wrongly, as the end of a sentence */
  constructor(path: string, problem: LedgerProblem, options: Cause & { readonly detail?: string | undefined } = {}) {
    const [what, nextStep] = problems[problem];
    const { detail, ...cause } = options;
    super(`The ledger ${path} ${detail === undefined ? what : `cannot be believed: ${detail}`}.`, {
      ...cause,
      nextStep,
      context: { path, problem, ...(detail !== undefined && { detail }) },
      retryable: problem === "locked",
    });
    this.problem = problem;
  }
}

export interface UnderpricedFacts {
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
  readonly facts: UnderpricedFacts;
  constructor(facts: UnderpricedFacts, options: Cause = {}) {
    const { signer, nonce, functionName, maxFeePerGas, baseFeePerGas, transactionHash } = facts;
    const why =
      baseFeePerGas === undefined
        ? "and the node asks for more"
        : `and the base fee has risen to ${inGwei(baseFeePerGas)} gwei`;
    super(
      `${functionName} of ${signer}, nonce ${nonce}, pays at most ${inGwei(maxFeePerGas)} gwei per gas, ${why}: it is not mined.`,
      {
        ...options,
        nextStep:
          "It is on record. Replace it by the same call with a higher fee (replaceTransaction), cancel it (cancelTransaction), or wait until the base fee has fallen.",
        context: {
          ...{ signer, nonce, functionName, transactionHash },
          maxFeePerGas: maxFeePerGas.toString(),
          ...(baseFeePerGas !== undefined && { baseFeePerGas: baseFeePerGas.toString() }),
        },
      },
    );
    this.facts = facts;
  }
}

export interface RecordFacts {
  readonly from: string;
  readonly nonce: number;
  readonly functionName: string;
}

export class TransactionCancelledError extends LedgerFamilyError {
  override readonly name = "TransactionCancelledError";
  constructor({ from, nonce, functionName }: RecordFacts, by: string | undefined) {
    const how = by === undefined ? "was withdrawn" : `was cancelled by transaction ${by}`;
    super(`${functionName} of ${from}, nonce ${nonce}, ${how}.`, {
      nextStep: "It was not carried out. The same command sends it anew, with another nonce.",
      context: { from, nonce, functionName, ...(by !== undefined && { cancelledBy: by }) },
    });
  }
}

export class NonceBlockedError extends LedgerFamilyError {
  override readonly name = "NonceBlockedError";
  constructor({ from, nonce, functionName }: RecordFacts) {
    super(
      `Nonce ${nonce} of ${from} belongs to a removal that an earlier prune recorded and did not send: ${functionName}.`,
      {
        nextStep:
          "Nothing was sent. Run that prune again: it checks whether the removal is still safe, and sends it. Or cancel it (cancelTransaction).",
        context: { from, nonce, functionName },
      },
    );
  }
}

export interface FinalityFacts {
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
  constructor({ tag, transactionHashes, blockNumber, taggedBlock }: FinalityFacts, waitedMs: number) {
    const seconds = Math.round(waitedMs / 1000);
    const reached = taggedBlock === undefined ? "" : `, and the endpoint's ${tag} block is ${taggedBlock}`;
    super(`Block ${blockNumber}, which holds the transactions, is not ${tag} after ${seconds} s${reached}.`, {
      nextStep:
        "They are mined, and they are on record. The same command waits for them again, and pays nothing; or ask for an earlier stage (until).",
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
