import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ServedWorld } from "./serve.ts";

export interface WorldProcess {
  readonly world: ServedWorld;
  stop(): void;
}

/** Starts the servers in another process, so that the load does not run on the event loop it measures. */
export async function serveWorld(owners: number): Promise<WorldProcess> {
  const child: ChildProcess = fork(fileURLToPath(new URL("serve.ts", import.meta.url)), [`${owners}`], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [world] = await Promise.race([
    once(child, "message") as Promise<[ServedWorld]>,
    once(child, "exit").then(([code]) => Promise.reject(new Error(`The server ended with code ${code}.`))),
  ]);
  return { world, stop: () => child.disconnect() };
}
