import { isDstackError } from "../../errors/index.ts";
import { toJson } from "../../report/format.ts";
import { createPaper, type Paper } from "../../report/output.ts";
import { exitCodeOf } from "../exit-code-of.ts";
import { createConfirm } from "./confirm.ts";

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
