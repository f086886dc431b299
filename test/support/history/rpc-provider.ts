import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, http } from "viem";
import { base } from "viem/chains";
import type { ChainClient } from "../../../src/chain/client.ts";

export interface RpcCall {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A provider's answer in place of the node's. */
export interface ProviderAnswer {
  /** @default 200 */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON-RPC. */
  readonly error?: { readonly code: number; readonly message: string };
  readonly result?: unknown;
  /** A result that is JSON already. */
  readonly resultJson?: string;
  /** Sent as it is. */
  readonly body?: string;
}

/** Decides about one call; undefined lets the node answer. `pass` is what the node would answer. */
export type Behaviour = (
  call: RpcCall,
  pass: () => Promise<unknown>,
) => ProviderAnswer | "hangUp" | undefined | Promise<ProviderAnswer | "hangUp" | undefined>;

export interface RpcProvider {
  readonly url: string;
  /** Asks through viem's HTTP transport with the users' settings, including retries. */
  readonly client: ChainClient;
  /** All calls so far, in order. */
  readonly calls: readonly RpcCall[];
  behave(behaviour: Behaviour | undefined): void;
  countOf(method: string): number;
  close(): Promise<void>;
}

interface Node {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

/** An RPC provider over HTTP, with its own limits and faults, in front of a node of this process. */
export async function startProvider(node: Node, first?: Behaviour): Promise<RpcProvider> {
  const calls: RpcCall[] = [];
  let behaviour = first;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { id, method, params = [] } = JSON.parse(Buffer.concat(chunks).toString());
    calls.push({ method, params });
    const pass = () => node.request({ method, params });
    const answer = (await behaviour?.({ method, params }, pass)) ?? (await answerOf(pass));
    if (answer === "hangUp") return void request.socket.destroy();
    const { status = 200, headers = {}, body, error, result, resultJson } = answer;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    if (resultJson !== undefined) return void response.end(`{"jsonrpc":"2.0","id":${id},"result":${resultJson}}`);
    response.end(body ?? JSON.stringify({ jsonrpc: "2.0", id, ...(error === undefined ? { result } : { error }) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // listening on TCP
  return {
    url,
    client: createClient({ chain: base, transport: http(url, { retryDelay: 1 }) }),
    calls,
    behave: (next) => {
      behaviour = next;
    },
    countOf: (method) => calls.filter((call) => call.method === method).length,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function answerOf(pass: () => Promise<unknown>): Promise<ProviderAnswer> {
  return pass().then(
    (result) => ({ result }),
    (error: { code?: number; message: string }) => ({ error: { code: error.code ?? -32603, message: error.message } }),
  );
}

/** The blocks an `eth_getLogs` asks for; undefined for other calls. */
export function blocksOf({ method, params }: RpcCall): { from: number; to: number; count: number } | undefined {
  if (method !== "eth_getLogs") return undefined;
  const { fromBlock, toBlock } = Object(params[0]) as { fromBlock: string; toBlock: string };
  const [from, to] = [Number(fromBlock), Number(toBlock)];
  return { from, to, count: to - from + 1 };
}

/** Refuses ranges of more than so many blocks. */
export function limitBlocks(most: number, refuse: (asked: { from: number; to: number }) => ProviderAnswer): Behaviour {
  return (call) => {
    const asked = blocksOf(call);
    return asked !== undefined && asked.count > most ? refuse(asked) : undefined;
  };
}

/** Refuses ranges with more than so many logs. */
export function limitResults(most: number, refusal: ProviderAnswer): Behaviour {
  return async (call, pass) => {
    if (call.method !== "eth_getLogs") return undefined;
    const result = (await pass()) as unknown[];
    return result.length > most ? refusal : { result };
  };
}
