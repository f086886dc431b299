import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { BenchReport } from "../report.ts";
import { type ChainShape, latencyMs, mostBlocks, type ShapeName, shapes } from "./settings.ts";

/**
 * Reads long histories through a provider with a small limit, and through an index: first runs, second runs, and a plain
 * loop to compare. A year of the plain loop would take half an hour, so ten days of that year stand for it.
 */
export async function benchHistory(): Promise<BenchReport> {
  const rows = [
    ...(await measure("days", ["plain", "scan"])),
    ...(await measure("dense", ["plain", "scan", "scan again"])),
    ...(await measure("year", ["index", "index again"])),
  ];
  return {
    title: `History: ${mostBlocks} blocks a request, ${latencyMs} ms latency, nothing given but the app`,
    rows,
    note: "memory: peak of the process above that of one that only loads the same modules; the plain loop is told the creation and the limit, keeps its logs in memory and does not verify them; the others verify, and with an index prove, the state",
  };
}

type Step = "plain" | "scan" | "scan again" | "index" | "index again";

async function measure(name: ShapeName, steps: readonly Step[]): Promise<BenchReport["rows"]> {
  const shape: ChainShape = shapes[name];
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const path = join(scratch, "history.sqlite");
  const server = start("log-server.ts", [name]);
  const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator](); // piped below
  const nextLine = async () => JSON.parse(String((await lines.next()).value));
  const ask = (line: string): Promise<Counts> => {
    server.stdin?.write(`${line}\n`);
    return nextLine();
  };
  try {
    const { url, indexUrl, appId, createdInBlock } = await nextLine();
    const run = async (mode: string): Promise<Run> => {
      const reader = start("reader.ts", [mode, url, indexUrl, appId, String(createdInBlock), path]);
      const output = JSON.parse(await text(reader.stdout as NodeJS.ReadableStream)); // piped below
      return { ...output, ...(await ask("count")) };
    };
    const nothing = await run("nothing");
    const rows: BenchReport["rows"][number][] = [];
    let plainMs: number | undefined;
    for (const step of steps) {
      if (step.endsWith("again")) await ask("grow");
      const result = await run(step.replace(" again", ""));
      if (step === "plain") plainMs = result.wallMs;
      if (result.isComplete === false || result.isProven === false)
        throw new Error(`The history of the step ${step} of ${name} is not complete.`);
      rows.push({
        history: `${shape.title}: ${result.logs.toLocaleString("en-US")} logs, ${shape.head.toLocaleString("en-US")} blocks`,
        reader: step,
        "wall s": (result.wallMs / 1000).toFixed(2),
        "times plain": plainMs === undefined ? "" : (plainMs / result.wallMs).toFixed(1),
        requests: result.requests,
        refused: result.refused,
        pages: result.pages,
        "memory MB": Math.round(result.peakMb - nothing.peakMb),
        "store MB": step === "plain" ? "" : ((await stat(path)).size / 2 ** 20).toFixed(1),
      });
    }
    return rows;
  } finally {
    server.kill();
    await once(server, "close");
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Counts {
  readonly requests: number;
  readonly pages: number;
  readonly refused: number;
  readonly logs: number;
}

interface Run extends Counts {
  readonly wallMs: number;
  readonly peakMb: number;
  readonly isComplete?: boolean;
  readonly isProven?: boolean;
}

function start(program: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", "--no-warnings", path, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}
