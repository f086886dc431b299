import { exitWith } from "../report/exit-with.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a task's work until it ends or somebody stops the process, which is a good end too. Answers the exit code and
 * gives it to the process: Hardhat itself knows only 0 and 1, and prints a stack trace with what it does not know.
 */
export async function exitCodeOf(work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const interruption = new AbortController();
  const stop = () => interruption.abort();
  for (const signal of signals) process.on(signal, stop);
  try {
    await work(interruption.signal);
    return 0;
  } catch (error) {
    const isStopped = interruption.signal.aborted && error instanceof Error && error.name === "AbortError";
    return isStopped ? 0 : fail(error);
  } finally {
    // After a Ctrl-C they stay: npm passes it on once more, and the second one must not spoil the exit code.
    if (!interruption.signal.aborted) for (const signal of signals) process.off(signal, stop);
  }
}

function fail(error: unknown): number {
  const code = exitWith(error, process.stderr);
  process.exitCode = code;
  return code;
}
