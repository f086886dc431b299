import { type ErrorCode, type ErrorFamily, type ErrorName, errorTable, exitCodes } from "./codes.ts";

// Two copies of this package can be loaded in one process (a plugin's and an app's), so `instanceof` is not enough.
const marker = Symbol.for("dstack-toolkit.error");

export interface DstackErrorOptions {
  /** What the reader should do next, as one sentence. */
  readonly nextStep?: string | undefined;
  /** The values that explain the error, for logs and `--json`. Never a secret. */
  readonly context?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
  /** Overrides the table where only this occurrence decides, such as a 503 among refusals. */
  readonly retryable?: boolean | undefined;
}

/** Root of every error this package throws on purpose. `message` is one sentence; `nextStep` says what to do. */
export abstract class DstackError extends Error {
  abstract override readonly name: ErrorName;
  abstract readonly family: ErrorFamily;
  readonly nextStep: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly #retryable: boolean | undefined;

  constructor(message: string, options: DstackErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
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

export function isDstackError(value: unknown): value is DstackError {
  return value instanceof Error && marker in value;
}
