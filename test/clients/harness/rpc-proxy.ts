import { serveRpc } from "../../../src/world/chain/rpc-server.ts";
import type { Lane } from "./lane.ts";

/** Handles a call of a client; `forward` passes it to the lane's chain. */
export type Intercept = (method: string, forward: () => Promise<unknown>) => Promise<unknown>;

/** Runs the work with the URL of an endpoint that passes calls to the lane's chain through `intercept`. */
export async function withRpcProxy(
  { world }: Lane,
  intercept: Intercept,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const proxy = await serveRpc((method, params) => intercept(method, () => ask(method, params)), 0);
  try {
    await work(proxy.url);
  } finally {
    await proxy.close();
  }

  async function ask(method: string, params: readonly unknown[]): Promise<unknown> {
    const response = await fetch(world.chain.rpcUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    const { result, error }: { result?: unknown; error?: unknown } = Object(await response.json());
    if (error !== undefined) throw error;
    return result;
  }
}
