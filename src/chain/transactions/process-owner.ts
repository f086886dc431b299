import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";

/** The process that sends a transaction. */
export interface ProcessOwner {
  readonly host: string;
  readonly pid: number;
  /** When the process started, in the format of the system. Distinguishes it from a later process with the same id. */
  readonly start: string;
  /** One run inside the process. */
  readonly run: string;
}

export const processOwnerSchema = z.strictObject({
  host: z.string(),
  pid: z.int().positive(),
  start: z.string(),
  run: z.string(),
});

/** The runs of this process that have not ended. */
const running = new Set<string>();
let ownStart: string | undefined;

/** Registers a run of this process as an owner of transactions, until `end` is called. */
export function startRun(): { readonly owner: ProcessOwner; readonly end: () => void } {
  ownStart ??= readStart(process.pid) ?? "";
  const run = randomBytes(8).toString("hex");
  running.add(run);
  return {
    owner: { host: hostname(), pid: process.pid, start: ownStart, run },
    end: () => void running.delete(run),
  };
}

/**
 * Whether the owner may still be at work. An owner on another machine counts as gone: it cannot be checked, and what
 * follows is safe without it, because a request is never repeated on this word alone.
 */
export function isAtWork({ host, pid, start, run }: ProcessOwner): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return running.has(run);
  const found = readStart(pid);
  return found !== undefined && (start === "" || found === "" || found === start);
}

/**
 * When a process started. Undefined if there is none, or only a zombie. Empty if the system does not say when it
 * started.
 */
function readStart(pid: number): string | undefined {
  switch (process.platform) {
    case "linux":
      return readStartFromProc(pid);
    case "win32":
      return exists(pid) ? "" : undefined;
    default:
      return readStartFromPs(pid);
  }
}

/** See proc_pid_stat(5). The process's name, in parentheses, may contain any character. */
function readStartFromProc(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "X", ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return isEnded(state) ? undefined : (fields[18] ?? "");
  } catch {
    return undefined;
  }
}

function readStartFromPs(pid: number): string | undefined {
  try {
    const text = execFileSync("ps", ["-o", "stat=", "-o", "lstart=", "-p", `${pid}`], { encoding: "utf8" }).trim();
    const [state = "X", ...start] = text.split(/\s+/);
    return isEnded(state) ? undefined : start.join(" ");
  } catch {
    return undefined; // ps fails for an unknown process
  }
}

/** Zombies have ended, and wait for their parent to notice. */
function isEnded(state: string): boolean {
  return /^[ZX]/i.test(state);
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return Reflect.get(Object(error), "code") !== "ESRCH";
  }
}
