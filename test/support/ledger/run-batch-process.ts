import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BatchProcessResult, BatchProcessSettings } from "./batch-process.ts";

const program = fileURLToPath(new URL("./batch-process.ts", import.meta.url));

export interface RunBatchProcessOptions {
  /** Folder for compiled code, so that later processes start faster. */
  readonly cache: string;
  /** Begins to work once this resolves. @default at once */
  readonly gate?: (() => Promise<void>) | undefined;
  /** Kills the process so long after it has begun to work, in ms. */
  readonly killAfterMs?: number | undefined;
}

export interface EndOfBatchProcess {
  readonly isKilled: boolean;
  /** Time from the beginning of its work to its end, in ms. */
  readonly workedMs: number;
  /** Absent if it was killed before it was done. */
  readonly result: BatchProcessResult | undefined;
}

/** Runs a batch in a process of its own, which may be killed at any moment. */
export async function runBatchProcess(
  settings: BatchProcessSettings,
  { cache, gate, killAfterMs }: RunBatchProcessOptions,
): Promise<EndOfBatchProcess> {
  // Node itself leaves the types out of the files, which starts much faster than a loader.
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache, NODE_OPTIONS: "" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const lines: string[] = [];
  let start = 0;
  let kill: NodeJS.Timeout | undefined;
  createInterface(child.stdout).on("line", (line) => {
    if (line === "ready") void (gate?.() ?? Promise.resolve()).then(() => child.stdin.end());
    else lines.push(line);
    if (line !== "working") return;
    start = performance.now();
    if (killAfterMs !== undefined) kill = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  });
  const [, signal] = await once(child, "close");
  clearTimeout(kill);
  const last = lines.at(-1) ?? "working";
  return {
    isKilled: signal === "SIGKILL",
    workedMs: performance.now() - start,
    result: last === "working" ? undefined : (JSON.parse(last) as BatchProcessResult),
  };
}
