import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../../../scripts/support/paths.ts";
import type { Lane } from "./lane.ts";

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams, without colours, for text that is not in the JSON output. */
  readonly text: string;
  /** The JSON document in stdout. The CLI prints other lines before it, even with `--json`. */
  json(): Record<string, unknown>;
}

export interface CliOptions {
  /** Files in the folder the CLI is started in. */
  readonly files?: Readonly<Record<string, string>>;
  readonly apiKey?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** The `phala` command, as a process in an empty folder and an empty home. */
export interface Cli {
  run(args: readonly string[], options?: CliOptions): Promise<CliRun>;
  /** Like `run`, for a command that has to succeed. */
  succeed(args: readonly string[], options?: CliOptions): Promise<CliRun>;
  /** Like `run`, for a command that has to fail with code 1. */
  fail(args: readonly string[], options?: CliOptions): Promise<CliRun>;
}

const guard = pathToFileURL(join(root, "test", "clients", "drivers", "loopback-only.mjs")).href;

/** The environment of every Node client: of this machine's, only the variables that locate programs. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot } = process.env;
  return { PATH, SystemRoot, NODE_OPTIONS: `--import=${guard}`, NO_COLOR: "1" };
}

/** @param clients the folder `installNpmClients` returned */
export function cliOf(clients: string, { world }: Lane): Cli {
  const program = join(clients, "node_modules", "phala", "dist", "index.js");

  const run: Cli["run"] = async (args, options = {}) => {
    const { files = {}, apiKey = world.apiKey, env = {}, timeoutMs = 60_000 } = options;
    const folder = mkdtempSync(join(tmpdir(), "phala-"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env: {
        ...nodeEnvironment(),
        HOME: folder,
        USERPROFILE: folder,
        PHALA_CLOUD_DIR: join(folder, ".phala-cloud"),
        PHALA_CLOUD_API_KEY: apiKey,
        PHALA_CLOUD_API_PREFIX: world.cloud.baseUrl,
        PHALA_DISABLE_UPDATE_CHECK: "1",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    }).finally(() => clearTimeout(timer));
    rmSync(folder, { recursive: true, force: true });
    return { code, ...output, text: `${output.stdout}\n${output.stderr}`, json: () => parseJson(output.stdout) };
  };

  const expectCode = (wanted: number): Cli["run"] => {
    return async (args, options) => {
      const result = await run(args, options);
      if (result.code === wanted) return result;
      const command = args.join(" ").replace(/0x[0-9a-f]{64}/g, "0x…");
      throw new Error(`phala ${command} exited with code ${result.code}: ${result.text.trim().slice(-1500)}`);
    };
  };
  return { run, succeed: expectCode(0), fail: expectCode(1) };
}

function parseJson(stdout: string): Record<string, unknown> {
  for (let start = stdout.indexOf("{"); start >= 0; start = stdout.indexOf("{", start + 1)) {
    const text = stdout.slice(start, stdout.lastIndexOf("}") + 1);
    try {
      return JSON.parse(text);
    } catch {
      // The document starts at a later brace.
    }
  }
  throw new Error(`The CLI printed no JSON: ${stdout.slice(0, 1000)}`);
}
