import { createInterface } from "node:readline/promises";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { exitWith } from "../report/exit-with.ts";
import { toJson } from "../report/format.ts";
import { createPaper, guardOutput, type Paper } from "../report/output.ts";

/** Of a command that did its work, with an answer nobody should act on as if it were yes. See docs/operator.md. */
export const negativeAnswer = 6;

export interface OutputArguments {
  readonly json?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

/** How a task talks while it works. */
export interface TaskIo {
  /** Steps for people, as they happen: on standard output, with --json on standard error. */
  readonly paper: Paper;
  /** Where progress bars go. */
  readonly stderr: NodeJS.WritableStream;
  /** Ends when somebody stops the process. */
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  /**
   * Returns if the person agrees or --yes was given.
   *
   * @throws InvalidArgumentError where nobody can be asked, AbortError if they decline
   */
  readonly confirm: (question: string) => Promise<void>;
}

/** What a task ends with. */
export interface TaskOutcome {
  /** The one object of --json. Bigints are written as decimal strings. */
  readonly result: object;
  /** The same for people. Left out where the steps have said it all. */
  readonly show?: ((paper: Paper) => void) | undefined;
  /** @default 0 */
  readonly exitCode?: number | undefined;
}

/**
 * Runs a task's work, prints what it ends with and answers the exit code. With --json standard output holds exactly one
 * object, whatever happens: the result, or `{ "error": { code, name, message, nextStep, … } }`.
 */
export function runTask(args: OutputArguments, work: (io: TaskIo) => Promise<TaskOutcome>): Promise<number> {
  const { json: isJson = false, yes: isAgreed = false } = args;
  const { stdout, stderr, stdin } = process;
  const paper = createPaper(isJson ? stderr : stdout);
  return exitCodeOf(
    async (signal) => {
      const confirm = createConfirm({ isAgreed, isJson, stdin, stderr, signal });
      const { result, show, exitCode } = await work({ paper, stderr, signal, isJson, confirm });
      if (isJson) stdout.write(`${toJson(result)}\n`);
      else show?.(paper);
      return exitCode ?? 0;
    },
    { onError: (error) => isJson && stdout.write(`${toJson({ error: describeError(error) })}\n`) },
  );
}

function describeError(error: unknown): object {
  if (isDstackError(error)) return error.toJSON();
  return error instanceof Error ? { name: error.name, message: error.message } : { message: String(error) };
}

export interface CreateConfirmParameters {
  /** Whether --yes was given. */
  readonly isAgreed: boolean;
  readonly isJson: boolean;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

/** A question before something that cannot be taken back. Only a typed yes is a yes. */
export function createConfirm({ isAgreed, isJson, stdin, stderr, signal }: CreateConfirmParameters) {
  return async (question: string): Promise<void> => {
    if (isAgreed) return;
    if (isJson || stdin.isTTY !== true) {
      throw new InvalidArgumentError(`Nobody is there to be asked: ${question}`, {
        nextStep: "Nothing was sent. Give --yes to agree beforehand.",
      });
    }
    const prompt = createInterface({ input: stdin, output: stderr });
    // Ctrl-C, Ctrl-D and a signal reject: whoever leaves the question has not agreed.
    const answer = await prompt.question(`${question} [y/N] `, { signal }).catch(() => "");
    prompt.close();
    if (/^y(?:es)?$/i.test(answer.trim())) return;
    throw new DOMException("Nothing was sent.", "AbortError");
  };
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ExitCodeOptions {
  /** The code for being stopped by a signal. @default 130 */
  readonly whenStopped?: number | undefined;
  /** Told of a failure before it is printed. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** How long stopped work may take to end: a request under way may not listen to the signal. @default 10_000 ms */
  readonly graceMs?: number | undefined;
  /** Ends the process once that time is over. @default process.exit */
  readonly leave?: ((code: number) => void) | undefined;
}

/**
 * Runs a task's work until it ends or somebody stops the process. Answers the exit code and gives it to the
 * process: Hardhat itself knows only 0 and 1, and prints a stack trace with what it does not know. Work that hangs on
 * after a signal is left behind: what it has signed is on record, and the next run sees it to its end.
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
      process.stderr.write(`Stopped by ${signal}, in the middle of a request that did not end.\n`);
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
    const code = exitWith(error, process.stderr);
    return exit(isStopped ? whenStopped : code);
  } finally {
    clearTimeout(grace);
    // After a Ctrl-C they stay: npm passes it on once more, and the second one must not spoil the exit code.
    if (!interruption.signal.aborted) for (const signal of signals) process.off(signal, stop);
  }
}

function exit(code: number): number {
  if (code !== 0) process.exitCode = code;
  return code;
}
