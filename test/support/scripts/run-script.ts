import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..", "..");

export interface RunScriptParameters {
  /** What follows `node scripts/run.mjs`. */
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Sends this signal as soon as the text appears on standard output. */
  readonly interrupt?: { readonly at: string; readonly signal: NodeJS.Signals };
  /** Stops reading standard output after the first words, as `| head` does. */
  readonly stopsReading?: boolean;
}

export interface ScriptOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of the repository's scripts the way `npm run` does, without a terminal. */
export async function runScript({
  args,
  env,
  interrupt,
  stopsReading = false,
}: RunScriptParameters): Promise<ScriptOutcome> {
  const child = spawn(process.execPath, [join(root, "scripts", "run.mjs"), ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let isInterrupted = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (stopsReading) child.stdout.destroy();
    if (interrupt !== undefined && !isInterrupted && stdout.includes(interrupt.at)) {
      isInterrupted = true;
      child.kill(interrupt.signal);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null]; // documented arguments of "close"
  return { code, stdout, stderr };
}
