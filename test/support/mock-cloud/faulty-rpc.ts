import { custom, type EIP1193RequestFn, type Transport } from "viem";

export interface Provider {
  request(call: { method: string; params?: unknown }): Promise<unknown>;
}

/** Returns undefined to let a call through to the chain, else the answer it gets instead. */
export type Fault = (method: string, params: unknown) => Promise<unknown> | undefined;

export interface FaultyRpc {
  readonly transport: Transport;
  /** Undefined ends the faults. */
  setFault(fault: Fault | undefined): void;
}

/** An RPC connection with faults on demand, over a provider without faults. */
export function faultyRpc(provider: Provider): FaultyRpc {
  let fault: Fault | undefined;
  const request = async ({ method, params }: { method: string; params?: unknown }) =>
    fault?.(method, params) ?? provider.request({ method, params });
  return {
    transport: custom({ request: request as EIP1193RequestFn }, { retryCount: 0 }), // same calls, untyped
    setFault: (next) => {
      fault = next;
    },
  };
}
