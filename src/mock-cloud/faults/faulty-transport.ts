import { type EIP1193RequestFn, numberToHex, RpcRequestError, TimeoutError, type Transport } from "viem";
import type { Clock } from "../clock.ts";
import type { Faults } from "./faults.ts";

export interface ChainFaultsParameters {
  readonly faults: Faults;
  readonly clock: Clock;
  /** Ends all waits when the server stops. */
  readonly signal: AbortSignal;
}

export interface FaultyTransportParameters extends ChainFaultsParameters {
  /** Hashid of the CVM that the backend reads the chain for. */
  readonly cvm: string | undefined;
}

interface Call {
  readonly method: string;
  readonly params?: unknown;
}

/** Wraps a transport to a chain: the faults that are set strike its calls. */
export function faultyTransport(transport: Transport, parameters: FaultyTransportParameters): Transport {
  return (config) => {
    const way = transport(config);
    const send = way.request as (call: Call) => Promise<unknown>; // the same calls, untyped
    const request = async (call: Call) => answer(call, send, parameters);
    return { ...way, request: request as EIP1193RequestFn };
  };
}

async function answer(call: Call, send: (call: Call) => Promise<unknown>, parameters: FaultyTransportParameters) {
  const { faults, clock, cvm, signal } = parameters;
  const occasion = { cvm, rpcMethod: call.method };
  const failure = faults.strike(["rpc-error", "rpc-timeout"], occasion);
  if (failure?.kind === "rpc-timeout") {
    await clock.sleep(failure.ms, signal);
    throw new TimeoutError({ body: { method: call.method }, url: "the backend's RPC endpoint" });
  }
  if (failure) {
    const error = { code: -32603, message: "Internal error (a fault that was set)" };
    throw new RpcRequestError({ body: { method: call.method }, error, url: "the backend's RPC endpoint" });
  }
  if (call.method === "eth_getTransactionReceipt") {
    return faults.strike(["receipt-invisible"], occasion) ? null : send(call);
  }
  if (call.method !== "eth_blockNumber" && call.method !== "eth_call") return send(call);
  const lag = faults.strike(["stale-state"], occasion);
  if (!lag) return send(call);
  const head = BigInt(String(await send({ method: "eth_blockNumber" })));
  const seen = head > BigInt(lag.blocks) ? head - BigInt(lag.blocks) : 0n;
  if (call.method === "eth_blockNumber") return numberToHex(seen);
  const [transaction, block, ...rest] = call.params as readonly unknown[]; // JSON-RPC: a list
  const asked = typeof block === "string" && block.startsWith("0x") ? BigInt(block) : head;
  return send({ method: call.method, params: [transaction, numberToHex(asked < seen ? asked : seen), ...rest] });
}
