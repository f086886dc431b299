import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { numberToHex, RpcRequestError } from "viem";
import { httpEndpoint } from "../../chain/endpoint.ts";
import { createForkErrorCleaner } from "./rpc-faults.ts";
import { serveRpc } from "./rpc-server.ts";

/** What EDR asks about the forked chain. */
export interface ForkEndpoint {
  /** On loopback. */
  readonly url: string;
  /** The folder in which EDR keeps the answers, for as long as the fork lives. */
  readonly cache: string;
  close(): Promise<void>;
}

/**
 * EDR keeps the state of a block only if many blocks follow, because the chain may still replace a new one. Otherwise it
 * reads every account again for every call, in thousands of requests. A fork stays at its block whatever the chain does
 * later, so EDR is told that this many follow.
 */
const laterBlocks = 100_000n;
const retryCount = 4;

/**
 * Serves the endpoint of a fork to EDR. EDR files the answers by the host and the port of the endpoint, and behind a port
 * of this machine is another chain the next time. So the files are removed with the fork.
 */
export async function openForkEndpoint(fork: {
  readonly url: string;
  readonly blockNumber: bigint;
}): Promise<ForkEndpoint> {
  const { request } = httpEndpoint(fork.url)({ retryCount });
  const cleaned = createForkErrorCleaner(fork.url);
  const head = numberToHex(fork.blockNumber + laterBlocks);
  const server = await serveRpc(async (method, params) => {
    if (method === "eth_blockNumber") return head;
    return request({ method, params: [...params] }).catch((error: unknown) => {
      if (!(error instanceof RpcRequestError)) throw cleaned(error);
      const { code, details: message, data } = error;
      throw cleaned({ code, message, data });
    });
  }, 0);
  const cache = mkdtempSync(join(tmpdir(), "dstack-fork-"));
  return {
    ...{ url: server.url, cache },
    close: () => server.close().finally(() => rmSync(cache, { recursive: true, force: true })),
  };
}
