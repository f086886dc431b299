import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { BenchReport } from "../report.ts";
import { growth, latencyMs, mostBlocks, settings } from "./settings.ts";

/** Reads a long history through a provider with a small limit: a first run, a second run, and a plain loop to compare. */
export async function benchHistory(): Promise<BenchReport> {
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const server = start("log-server.ts", []);
  const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator](); // piped below
  const nextLine = async () => JSON.parse(String((await lines.next()).value));
  const ask = (line: string): Promise<Counts> => {
    server.stdin?.write(`${line}\n`);
    return nextLine();
  };
  try {
    const { url, appId, createdInBlock } = await nextLine();
    const path = join(scratch, "history.sqlite");
    const run = async (mode: string): Promise<Run> => {
      const reader = start("reader.ts", [mode, url, appId, String(createdInBlock), path]);
      const output = JSON.parse(await text(reader.stdout as NodeJS.ReadableStream)); // piped below
      return { ...output, ...(await ask("count")) };
    };
    const nothing = await run("nothing");
    const plain = await run("plain");
    const first = await run("ours");
    const storeMb = (await stat(path)).size / 2 ** 20;
    await ask("grow");
    const second = await run("ours");
    for (const { isComplete } of [first, second])
      if (isComplete !== true) throw new Error("A history is not complete.");
    const row = (reader: string, { wallMs, requests, refused, peakMb }: Run) => ({
      reader,
      "wall s": (wallMs / 1000).toFixed(2),
      "of plain": (wallMs / plain.wallMs).toFixed(3),
      requests,
      refused,
      "memory MB": Math.round(peakMb - nothing.peakMb),
    });
    return {
      title: `History: ${plain.logs.toLocaleString("en-US")} logs in ${settings.head.toLocaleString("en-US")} blocks, ${mostBlocks} blocks a request, ${latencyMs} ms latency`,
      rows: [
        row("plain loop; creation and limit are given", plain),
        row("ours, first run: nothing is given; verified", first),
        row(`ours, second run, ${growth} blocks later`, second),
      ],
      note: `memory: peak of the process above that of one that only loads the same modules (${Math.round(nothing.peakMb)} MB); store: ${storeMb.toFixed(1)} MB; the plain loop keeps its logs in memory and does not verify them`,
    };
  } finally {
    server.kill();
    await once(server, "close");
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Counts {
  readonly requests: number;
  readonly refused: number;
  readonly logs: number;
}

interface Run extends Counts {
  readonly wallMs: number;
  readonly peakMb: number;
  readonly isComplete?: boolean;
}

function start(program: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", "--no-warnings", path, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}
