import { exitWith } from "../report/exit-with.ts";
import { guardOutput } from "../report/output.ts";

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
