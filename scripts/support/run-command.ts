import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

export interface Command extends Pick<SpawnOptions, "cwd" | "env" | "timeout"> {
  readonly command: string;
  readonly args: readonly string[];
  /** Show everything (default), keep stdout and show stderr, or keep both. */
  readonly output?: "show" | "stdout" | "keep";
  /** Where to show it. @default the streams of this process, which may be a terminal */
  readonly print?: ((text: string) => void) | undefined;
  /** The command sends one message to this process. */
  readonly reports?: boolean;
}

/** How a command ended. Both `code` and `signal` are null if it could not be started. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly message: unknown;
}

const running = new Set<ChildProcess>();

/** Runs one command without a shell. Never rejects: a command that cannot start is an outcome. */
export function runCommand({ command, args, output = "show", reports = false, print, ...options }: Command) {
  const shown = print === undefined ? "inherit" : "pipe";
  return new Promise<Outcome>((resolve) => {
    const child = spawn(command, args, {
      timeout: 15 * 60_000,
      ...options,
      stdio: [
        "inherit",
        output === "show" ? shown : "pipe",
        output === "keep" ? "pipe" : shown,
        ...(reports ? (["ipc"] as const) : []),
      ],
    });
    running.add(child);
    let kept = "";
    let message: unknown;
    const keep = (text: string) => {
      kept += text;
    };
    child.stdout?.setEncoding("utf8").on("data", output === "show" && print ? print : keep);
    child.stderr?.setEncoding("utf8").on("data", output !== "keep" && print ? print : keep);
    child.on("message", (received) => {
      message = received;
    });
    child.once("error", ({ message: why }) => end(null, null, why));
    child.once("close", (code, signal) => end(code, signal, kept));

    function end(code: number | null, signal: NodeJS.Signals | null, text: string) {
      running.delete(child);
      resolve({ code, signal, output: text, message });
    }
  });
}

export function stopRunning(signal: NodeJS.Signals): void {
  for (const child of running) child.kill(signal);
}

/** How a command ended, as the rest of a sentence. */
export function describeEnd({ code, signal, output }: Outcome): string {
  if (code !== null) return `exited with code ${code}`;
  return signal === null ? `could not be started: ${output}` : `was stopped by ${signal}`;
}
