import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fetchPinned } from "../../../scripts/npm.mjs";

export interface Anvil {
  readonly rpcUrl: string;
  stop(): Promise<void>;
}

/** Starts Foundry's node, of the pinned version, on a free port. @param options further ones of its command line */
export async function startAnvil(chainId: number, options: readonly string[] = []): Promise<Anvil> {
  const program = fetchPinned("anvil");
  if (program === undefined) throw new Error("npm could not fetch the pinned anvil for this platform");
  const args = ["--port", "0", "--chain-id", `${chainId}`, ...options];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const stop = async () => {
    child.kill();
    await ended;
  };
  for await (const line of createInterface(child.stdout)) {
    const address = /^Listening on (\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stdout.resume();
    return { rpcUrl: `http://${address}`, stop };
  }
  throw new Error("anvil ended before it listened");
}
