import type { NetworkConnection } from "hardhat/types/network";
import { type Chain, createClient, custom } from "viem";
import { base } from "viem/chains";
import type { ChainClient } from "../../../src/chain/client.ts";

export interface RpcRequest {
  readonly method: string;
  readonly params?: readonly unknown[];
}

/** Answers in the node's place, or passes the request on. */
export type Intercept = (request: RpcRequest, pass: () => Promise<unknown>) => Promise<unknown>;

export interface InterceptedClient {
  readonly client: ChainClient;
  /** Methods of all requests so far, in order. */
  readonly methods: readonly string[];
}

/** A client that counts its requests, and whose endpoint can be made to fail or lie. */
export function interceptedClient(
  { provider }: NetworkConnection,
  { chain = base, intercept }: { readonly chain?: Chain | undefined; readonly intercept?: Intercept } = {},
): InterceptedClient {
  const methods: string[] = [];
  const request = (asked: RpcRequest) => {
    methods.push(asked.method);
    const pass = () => provider.request({ method: asked.method, params: [...(asked.params ?? [])] });
    return intercept === undefined ? pass() : intercept(asked, pass);
  };
  return {
    client: createClient({ chain, transport: custom({ request }, { retryCount: 0 }), pollingInterval: 20 }),
    methods,
  };
}

/** The error of a node that answers with a fault. */
export function rpcError(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}
