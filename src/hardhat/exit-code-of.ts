import { exitWith } from "../report/exit-with.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface ExitCodeOptions {
  /** The code for being stopped by a signal. @default 130 */
  readonly whenStopped?: number | undefined;
  /** Told of a failure before it is printed. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Runs a task's work until it ends or somebody stops the process. Answers the exit code and gives it to the
 * process: Hardhat itself knows only 0 and 1, and prints a stack trace with what it does not know.
 */
export async function exitCodeOf(
  work: (signal: AbortSignal) => Promise<number>,
  { whenStopped = 130, onError }: ExitCodeOptions = {},
): Promise<number> {
  const interruption = new AbortController();
  const stop = (signal: string) => interruption.abort(new DOMException(`Stopped by ${signal}.`, "AbortError"));
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
    // After a Ctrl-C they stay: npm passes it on once more, and the second one must not spoil the exit code.
    if (!interruption.signal.aborted) for (const signal of signals) process.off(signal, stop);
  }
}

function exit(code: number): number {
  if (code !== 0) process.exitCode = code;
  return code;
}
