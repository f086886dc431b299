import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Address } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { type Dstack, deployAppOf } from "../chain/deploy-dstack.ts";
import { startRpcServer } from "../update/rpc-server.ts";
import type { BatchProcessResult, BatchProcessSettings } from "./batch-process.ts";

const program = fileURLToPath(new URL("./batch-process.ts", import.meta.url));

export interface BatchProcesses {
  /** What every process gets. */
  readonly settings: Pick<BatchProcessSettings, "ledgerPath" | "rpcUrl" | "signer" | "appId" | "mode">;
  /** Of the key. */
  readonly address: Address;
  readonly cache: string;
  readonly close: () => Promise<void>;
}

/** One key with funds, an app of it, one ledger, and an endpoint, for processes that send at the same time. */
export async function openBatchProcesses(dstack: Dstack, directory: string): Promise<BatchProcesses> {
  const { networkHelpers, provider } = dstack.connection;
  const signer = generatePrivateKey();
  const { address } = privateKeyToAccount(signer);
  await networkHelpers.setBalance(address, 10n ** 20n);
  const appId = await deployAppOf(dstack, address);
  const { url: rpcUrl, close } = await startRpcServer(provider);
  const settings = { ledgerPath: join(directory, "ledger.sqlite"), rpcUrl, signer, appId, mode: "none" } as const;
  return { settings, address, cache: join(directory, "cache"), close };
}

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
