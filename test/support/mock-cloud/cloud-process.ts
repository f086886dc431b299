import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { until } from "../until.ts";
import { type Answer, request } from "./cloud-world.ts";

/** The mock cloud as a process of its own. */
export interface CloudProcess {
  readonly baseUrl: string;
  readonly pid: number;
  /** Everything it wrote to stderr so far. */
  log(): string;
  /** Sends a signal and waits for the end. Returns the exit code, or null where the signal ended it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

export interface StartCloudProcessParameters {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export async function startCloudProcess({ args, env }: StartCloudProcessParameters): Promise<CloudProcess> {
  const child = spawn(process.execPath, ["scripts/run.mjs", "src/bin/main.ts", "mock-cloud", "--port", "0", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => log.push(text));
  const exit = once(child, "exit");
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([text]) => String(text)),
    exit.then(() => undefined),
  ]);
  if (line === undefined || child.pid === undefined) throw new Error(`The mock cloud did not start: ${log.join("")}`);
  return {
    baseUrl: JSON.parse(line).baseUrl,
    pid: child.pid,
    log: () => log.join(""),
    stop: async (signal) => {
      child.kill(signal);
      const [code] = await exit;
      return code;
    },
  };
}

/** The CVM as the cloud answers it, once it runs. */
export function untilRunning(cloud: CloudProcess, id: string): Promise<Answer["body"]> {
  return until(async () => {
    const { body } = await request(cloud, "GET", `/cvms/${id}`);
    return body.status === "running" && body;
  });
}
