import { createInterface } from "node:readline/promises";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { exitWith, isOfSystem } from "../output/exit-with.ts";
import { toJson } from "../output/format.ts";
import { createOutput, guardOutput, type Output } from "../output/output.ts";
import { widthOf, wrapText } from "../output/wrap.ts";
import { toOperatorTerms } from "./operator-terms.ts";

/** Exit code of a command that succeeded with a negative answer. See docs/operator.md. */
export const negativeAnswer = 6;
/** Exit code of a rehearsal whose verdict is no-go. */
export const noGo = 8;

export interface OutputArguments {
  /** Name of the task, as in `hash add`. It comes from the task's definition, not from the user. */
  readonly task?: string | undefined;
  readonly json?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

/** A task's output and questions while it works. */
export interface TaskIo {
  /** Steps for people, as they happen: on standard output, or on standard error with --json. */
  readonly output: Output;
  /** Stream for progress bars. */
  readonly stderr: NodeJS.WritableStream;
  /** Aborts when the user stops the process. */
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  /**
   * Returns if the user agrees or --yes was given.
   *
   * @throws InvalidArgumentError if the user cannot be asked, AbortError if they decline
   */
  readonly confirm: (question: string) => Promise<void>;
  /**
   * Asks a question to which no is an answer too. Undefined with --yes, and where the user cannot be asked.
   *
   * @throws AbortError if the user answers nothing and stops the task
   */
  readonly ask: ((question: string) => Promise<boolean>) | undefined;
  /** Like `confirm`, but asks even if --yes was given. Undefined if no terminal is available. */
  readonly confirmInPerson: ((question: string) => Promise<void>) | undefined;
}

/** The result of a task. */
export interface TaskOutcome {
  /** The content of the one object of --json, without the envelope. Bigints are written as decimal strings. */
  readonly result: object;
  /** The result for people. Omitted if the steps have already shown everything. */
  readonly show?: ((output: Output) => void) | undefined;
  /** @default 0 */
  readonly exitCode?: number | undefined;
}

/**
 * Runs a task, prints its result and returns the exit code. With --json, standard output always holds exactly one
 * object: the result, or `{ "error": { code, name, message, nextStep, … } }`, each in the same envelope.
 */
export function runTask(args: OutputArguments, work: (io: TaskIo) => Promise<TaskOutcome>): Promise<number> {
  const { task, json: isJson = false, yes: isAgreed = false } = args;
  const { stdout, stderr, stdin } = process;
  const output = createOutput(isJson ? stderr : stdout);
  return exitCodeOf(
    async (signal) => {
      const terminal = { isJson, stdin, stderr, signal };
      const confirm = createConfirm({ ...terminal, isAgreed });
      const ask = createAsk({ ...terminal, isAgreed });
      const canAsk = !isJson && stdin.isTTY === true;
      const confirmInPerson = canAsk ? createConfirm({ ...terminal, isAgreed: false }) : undefined;
      const { result, show, exitCode } = await work({ output, stderr, signal, isJson, confirm, ask, confirmInPerson });
      if (isJson) stdout.write(formatEnvelope(task, result));
      else show?.(output);
      return exitCode ?? 0;
    },
    { onError: (error) => isJson && stdout.write(formatErrorEnvelope(task, error)) },
  );
}

/** Version of the objects that tasks print with --json. A change that breaks readers raises it. */
const jsonSchemaVersion = 1;

/** The line of --json: the version of its schema, the task, and the content, which cannot replace either. */
export function formatEnvelope(task: string | undefined, content: object): string {
  const envelope = { schemaVersion: jsonSchemaVersion, task };
  return `${toJson({ ...envelope, ...content, ...envelope })}\n`;
}

/** The line of --json for an error. */
export function formatErrorEnvelope(task: string | undefined, error: unknown): string {
  return formatEnvelope(task, { error: describeError(error) });
}

interface DescribedError {
  /** `DSTK-…`, Hardhat's `HHE…`, the operating system's code, `ABORTED` or `UNEXPECTED`. */
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly nextStep: string | null;
}

function describeError(error: unknown): DescribedError {
  if (isDstackError(error)) return { ...error.toJSON(), nextStep: nextStepOf(error) ?? null };
  if (!(error instanceof Error))
    return { code: "UNEXPECTED", name: "Error", message: String(error), nextStep: reportFault };
  const { name, message } = error;
  if (name === "AbortError") return { code: "ABORTED", name, message, nextStep: runAgain };
  if (name === "HardhatError" && "errorCode" in error)
    return { code: `${error.errorCode}`, name, message, nextStep: "The message is Hardhat's. It says what to change." };
  if (isOfSystem(error))
    return { code: error.code, name, message, nextStep: `Remove what the operating system reports. ${runAgain}` };
  return { code: "UNEXPECTED", name, message, nextStep: reportFault };
}

const runAgain = "Run the same command again. A task that sends continues what its ledger holds.";
const reportFault = "Report this fault of dstack-toolkit with the stack trace on standard error.";

/** The next step in the terms of the commands. */
function nextStepOf(error: unknown): string | undefined {
  return isDstackError(error) && error.nextStep !== undefined ? toOperatorTerms(error.nextStep) : undefined;
}

export interface CreateConfirmParameters {
  /** Whether --yes was given. */
  readonly isAgreed: boolean;
  readonly isJson: boolean;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

/** Asks before an action that cannot be undone. Only a typed yes counts. */
export function createConfirm({ isAgreed, ...terminal }: CreateConfirmParameters) {
  const ask = createAsk({ ...terminal, isAgreed: false });
  return async (question: string): Promise<void> => {
    if (isAgreed) return;
    if (ask === undefined) {
      throw new InvalidArgumentError(`The question needs a terminal, and there is none: ${question}`, {
        nextStep: "Nothing was sent. Give --yes to agree in advance.",
      });
    }
    if (!(await ask(question))) throw nothingSent();
  };
}

/** Asks a question to which no is an answer too. Only a typed yes is a yes. Undefined with --yes and without a terminal. */
export function createAsk({ isAgreed, isJson, stdin, stderr, signal }: CreateConfirmParameters): TaskIo["ask"] {
  if (isAgreed || isJson || stdin.isTTY !== true) return undefined;
  return async (question) => {
    const prompt = createInterface({ input: stdin, output: stderr });
    // Ctrl-C, Ctrl-D and a signal reject the question.
    const text = wrapText(`${question} [y/N]`, widthOf(stderr));
    const answer = await prompt.question(`${text} `, { signal }).catch(() => undefined);
    prompt.close();
    if (answer === undefined) throw nothingSent();
    return /^y(?:es)?$/i.test(answer.trim());
  };
}

function nothingSent(): DOMException {
  return new DOMException("Nothing was sent.", "AbortError");
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ExitCodeOptions {
  /** Exit code if a signal stops the task. @default 130 */
  readonly whenStopped?: number | undefined;
  /** Called with an error before it is printed. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** How long stopped work may take to end, because a running request may ignore the signal. @default 10_000 ms */
  readonly graceMs?: number | undefined;
  /** Ends the process after that time. @default process.exit */
  readonly leave?: ((code: number) => void) | undefined;
}

/**
 * Runs a task until it ends or a signal stops it. Returns the exit code and sets it for the process: Hardhat itself
 * knows only 0 and 1, and prints a stack trace with unknown errors. If the work continues too long after a signal, the
 * process exits. What the work signed is on record, and the next run completes it.
 */
export async function exitCodeOf(
  work: (signal: AbortSignal) => Promise<number>,
  { whenStopped = 130, onError, graceMs = 10_000, leave = process.exit }: ExitCodeOptions = {},
): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) guardOutput(stream);
  const interruption = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  const stop = (signal: string) => {
    interruption.abort(new DOMException(`Stopped by ${signal}.`, "AbortError"));
    grace ??= setTimeout(() => {
      process.stderr.write(`Stopped by ${signal} while a request was still running.\n`);
      leave(whenStopped);
    }, graceMs);
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return exit(await work(interruption.signal));
  } catch (error) {
    const isStopped = interruption.signal.aborted && error instanceof Error && error.name === "AbortError";
    if (isStopped && whenStopped === 0) return 0;
    onError?.(error);
    const code = exitWith(error, process.stderr, nextStepOf(error));
    return exit(isStopped ? whenStopped : code);
  } finally {
    clearTimeout(grace);
    // After a Ctrl-C, keep the listeners: npm sends the signal again, and the second one must not change the exit code.
    if (!interruption.signal.aborted) for (const signal of signals) process.off(signal, stop);
  }
}

function exit(code: number): number {
  if (code !== 0) process.exitCode = code;
  return code;
}
