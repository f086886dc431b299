import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { root } from "../../../scripts/support/paths.ts";
import type { WorldDescription } from "../../../src/commands/up.ts";

/** `hardhat dstack up --json` as a process of its own. */
export interface UpProcess {
  readonly world: WorldDescription;
  /** Everything it wrote to stderr so far. */
  log(): string;
  /** Sends a signal and waits for the end. Answers the exit code, or null where the signal ended it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

const upArguments = ["hardhat", "dstack", "up", "--json", "--chain-port", "0", "--cloud-port", "0"];

/** Starts worlds; those that a failed test leaves running are ended after it. */
export function useUpProcesses(): (args?: readonly string[]) => Promise<UpProcess> {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });
  return (args = []) => {
    const child = spawn(process.execPath, [join(root, "scripts", "run.mjs"), ...upArguments, ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    return untilUp(child);
  };
}

async function untilUp(child: ChildProcessByStdio<null, Readable, Readable>): Promise<UpProcess> {
  const log: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => log.push(text));
  const exit = once(child, "exit");
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([text]) => String(text)),
    exit.then(() => undefined),
  ]);
  const world = line === undefined ? undefined : (JSON.parse(line) as WorldDescription); // what our own task prints
  if (world === undefined || "error" in world) throw new Error(`The world did not start: ${log.join("")}`);
  return {
    world,
    log: () => log.join(""),
    stop: async (signal) => {
      child.kill(signal);
      const [code] = (await exit) as [number | null]; // documented arguments of "exit"
      return code;
    },
  };
}
