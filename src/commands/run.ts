import { createInterface } from "node:readline/promises";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { exitWith } from "../output/exit-with.ts";
import { toJson } from "../output/format.ts";
import { createOutput, guardOutput, type Output } from "../output/output.ts";
import { toOperatorTerms } from "./operator-terms.ts";

/** Exit code of a command that succeeded with a negative answer. See docs/operator.md. */
export const negativeAnswer = 6;

export interface OutputArguments {
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
  /** The one object of --json. Bigints are written as decimal strings. */
  readonly result: object;
  /** The result for people. Omitted if the steps have already shown everything. */
  readonly show?: ((output: Output) => void) | undefined;
  /** @default 0 */
  readonly exitCode?: number | undefined;
}

/**
 * Runs a task, prints its result and returns the exit code. With --json, standard output always holds exactly one
 * object: the result, or `{ "error": { code, name, message, nextStep, … } }`.
 */
export function runTask(args: OutputArguments, work: (io: TaskIo) => Promise<TaskOutcome>): Promise<number> {
  const { json: isJson = false, yes: isAgreed = false } = args;
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
      if (isJson) stdout.write(`${toJson(result)}\n`);
      else show?.(output);
      return exitCode ?? 0;
    },
    { onError: (error) => isJson && stdout.write(`${toJson({ error: describeError(error) })}\n`) },
  );
}

function describeError(error: unknown): object {
  if (isDstackError(error)) return { ...error.toJSON(), nextStep: nextStepOf(error) };
  return error instanceof Error ? { name: error.name, message: error.message } : { message: String(error) };
}

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
    const answer = await prompt.question(`${question} [y/N] `, { signal }).catch(() => undefined);
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
