import { type ChildProcess, spawn } from "node:child_process";

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** `show` prints everything (default), `tee` prints it and keeps stdout, `keep` only keeps stdout and stderr. */
  readonly output?: "show" | "tee" | "keep";
  /** The command is one of our own runners and sends its tally to the parent process. */
  readonly reports?: boolean;
  readonly timeoutMs?: number;
  /** How long the command may run after its first message. */
  readonly graceMs?: number;
}

/** How a command ended. The caller decides whether that is good. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly messages: readonly unknown[];
  /** Why the command was killed or could not start. */
  readonly problem: string | undefined;
}

const running = new Set<ChildProcess>();

/** Runs one command without a shell. Never rejects: a command that cannot start is also an outcome. */
export function runCommand(command: Command): Promise<Outcome> {
  const { output = "show", reports = false, timeoutMs = 15 * 60_000, graceMs = 20_000 } = command;
  return new Promise((resolve) => {
    const child = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: command.env ?? process.env,
      stdio: [
        "inherit",
        output === "show" ? "inherit" : "pipe",
        output === "keep" ? "pipe" : "inherit",
        ...(reports ? (["ipc"] as const) : []),
      ],
    });
    running.add(child);
    const messages: unknown[] = [];
    let kept = "";
    let problem: string | undefined;

    const killAfter = (milliseconds: number, why: string) =>
      setTimeout(() => {
        problem = why;
        child.kill("SIGTERM");
        setTimeout(() => child.kill("SIGKILL"), 5_000).unref();
      }, milliseconds);
    const timers = [killAfter(timeoutMs, `was still running after ${Math.round(timeoutMs / 1000)} s`)];

    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        kept += text;
        if (output === "tee") process.stdout.write(text);
      });
    child.on("message", (message) => {
      messages.push(message);
      timers.push(killAfter(graceMs, "kept running after its last test: something it opened was not closed"));
    });
    child.once("error", (error) => {
      problem = `could not be started: ${error.message}`;
      finish(null, null);
    });
    child.once("close", finish);

    function finish(code: number | null, signal: NodeJS.Signals | null) {
      running.delete(child);
      for (const timer of timers) clearTimeout(timer);
      resolve({ code, signal, output: kept, messages, problem });
    }
  });
}

/** Passes a signal on to all running commands. */
export function signalRunning(signal: NodeJS.Signals): void {
  for (const child of running) child.kill(signal);
}

/** Describes how a command ended, as the rest of a sentence. */
export function describeEnd({ problem, signal, code }: Outcome): string {
  if (problem !== undefined) return problem;
  return signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
}
