import { type EIP1193RequestFn, numberToHex, RpcRequestError, TimeoutError, type Transport } from "viem";
import type { Clock } from "../clock.ts";
import type { EventListener } from "../events.ts";
import {
  type FaultKind,
  type FaultOf,
  type FaultRule,
  faultRuleSchema,
  type ResolvedFaultRule,
  type SetFault,
} from "./rule.ts";

interface Entry {
  readonly id: string;
  readonly rule: ResolvedFaultRule;
  readonly random: () => number;
  struck: number;
}

/**
 * Holds the faults that are set. Code that can fail asks here whether a fault strikes now. Without faults, none does.
 */
export class Faults {
  readonly #emit: EventListener;
  #entries: readonly Entry[] = [];
  #count = 0;

  constructor(emit: EventListener) {
    this.#emit = emit;
  }

  /** Sets a fault. Older faults keep their place, and an older fault strikes first. @throws ZodError */
  set(rule: FaultRule): SetFault {
    const resolved = faultRuleSchema.parse(rule);
    this.#count += 1;
    const entry = { id: `fault_${this.#count}`, rule: resolved, random: createRandom(resolved.seed), struck: 0 };
    this.#entries = [...this.#entries, entry];
    return describe(entry);
  }

  list(): SetFault[] {
    return this.#entries.map(describe);
  }

  /** Removes one fault, or all faults. Returns whether there was a fault to remove. */
  clear(id?: string): boolean {
    const kept = id === undefined ? [] : this.#entries.filter((entry) => entry.id !== id);
    const isAny = kept.length < this.#entries.length;
    this.#entries = kept;
    return isAny;
  }

  /** Whether a fault of one of these kinds is set. */
  has(...kinds: readonly FaultKind[]): boolean {
    return this.#entries.some(({ rule }) => kinds.includes(rule.kind));
  }

  /** Returns the first fault of these kinds that strikes now, if any. The call counts as one strike of that fault. */
  strike<Kind extends FaultKind>(kinds: readonly Kind[], occasion: Occasion): FaultOf<Kind> | undefined {
    for (const entry of this.#entries) {
      const { rule } = entry;
      if (!isOneOf(rule, kinds) || !matchRule(rule, occasion)) continue;
      if (rule.probability !== undefined && entry.random() >= rule.probability) continue;
      entry.struck += 1;
      if (rule.times !== undefined && entry.struck >= rule.times) this.clear(entry.id);
      const { cvm = null, method, path, rpcMethod, event } = occasion;
      const where = [method, path, rpcMethod, event].filter((part) => part !== undefined).join(" ");
      this.#emit({ type: "fault.struck", id: entry.id, kind: rule.kind, cvmId: cvm, where });
      return rule;
    }
    return undefined;
  }
}

function isOneOf<Kind extends FaultKind>(rule: ResolvedFaultRule, kinds: readonly Kind[]): rule is FaultOf<Kind> {
  return (kinds as readonly FaultKind[]).includes(rule.kind); // widened, so that `includes` accepts any kind
}

function describe({ id, rule, struck }: Entry): SetFault {
  return { id, struck, ...rule };
}

/** A moment at which a fault may strike. */
export interface Occasion {
  /** Hashid. Undefined when the request concerns no CVM, or no CVM of the caller's workspace. */
  readonly cvm?: string | undefined;
  readonly method?: string;
  /** Path of the request below `/api/v1`. `route` is the pattern of its endpoint. */
  readonly path?: string;
  readonly route?: string;
  readonly rpcMethod?: string;
  readonly event?: string;
}

/** Whether a rule applies to this moment. */
export function matchRule(rule: ResolvedFaultRule, occasion: Occasion): boolean {
  if (rule.cvm !== undefined && rule.cvm !== occasion.cvm) return false;
  if ("method" in rule && rule.method !== undefined && rule.method.toUpperCase() !== occasion.method) return false;
  if ("rpcMethod" in rule && rule.rpcMethod !== undefined && rule.rpcMethod !== occasion.rpcMethod) return false;
  if ("event" in rule && rule.event !== undefined && rule.event !== occasion.event) return false;
  if ("route" in rule && rule.route !== undefined) return matchRoute(rule.route, occasion);
  return true;
}

/** A parameter in the rule matches a parameter of any name. A word matches the same word in the pattern or the path. */
function matchRoute(wanted: string, { route = "", path = "" }: Occasion): boolean {
  const inRoute = route.split("/");
  const inPath = path.split("/");
  const parts = wanted.split("/");
  if (parts.length !== inRoute.length || parts.length !== inPath.length) return false;
  return parts.every((part, index) => {
    if (part === "*") return true;
    const isParameter = inRoute[index]?.startsWith(":") ?? false;
    if (/^(?::.+|\{.+\})$/.test(part)) return isParameter;
    return part === inPath[index];
  });
}

/** Pseudo-random numbers from 0 up to, but not including, 1. The same seed gives the same numbers (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

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
