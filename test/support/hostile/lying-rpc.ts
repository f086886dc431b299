import type { Hex } from "viem";
import { sendJson, startServer } from "../update/http-server.ts";

/** One false answer of an endpoint, as plain data, so that a failing property test prints it. */
export interface Lie {
  readonly method: string;
  /** Only about this address: what the code, the nonce or the balance of is asked, or what is called. */
  readonly of?: Hex | undefined;
  /** At which of the calls it fits, counted from 0; absent: at every one. */
  readonly at?: number | undefined;
  readonly answer:
    | { readonly value: unknown }
    /** The true answer with these fields changed. */
    | { readonly fields: object }
    /** The true answer with the first address replaced by the second. */
    | { readonly swap: readonly [from: Hex, to: Hex] }
    | { readonly fault: { readonly code: number; readonly message: string } };
}

export interface LyingRpc {
  readonly url: string;
  /** Signed transactions that it was sent, in order. */
  readonly transactions: readonly Hex[];
  /** Requests that it sign itself. */
  readonly requests: readonly unknown[];
  /** EIP-7702 authorisations it was shown in estimates and simulations. */
  readonly authorizations: readonly RpcAuthorization[];
  /** Clears its record, and answers with these lies from now on. */
  tell(lies: readonly Lie[]): void;
  close(): Promise<void>;
}

export interface RpcAuthorization {
  readonly address: Hex;
  readonly chainId: Hex;
  readonly nonce: Hex;
}

interface RpcCall {
  readonly id: unknown;
  readonly method: string;
  readonly params?: readonly unknown[];
}

/** Polls of one receipt after which a transaction that will never be mined is said to have reverted, so that tests end. */
const mostPolls = 3;

/**
 * A JSON-RPC endpoint between a client and a node: every call is answered truthfully unless a lie fits. It keeps every
 * request with a signature. A transaction sent to it reaches the node, even if it denies that.
 */
export async function startLyingRpc(upstream: string): Promise<LyingRpc> {
  let lies: { readonly lie: Lie; count: number }[] = [];
  const seen = { transactions: [] as Hex[], requests: [] as unknown[], authorizations: [] as RpcAuthorization[] };
  const polls = new Map<string, number>();

  const server = await startServer(async (response, { body }) => {
    const call = JSON.parse(body) as RpcCall | readonly RpcCall[];
    const answered = Array.isArray(call) ? await Promise.all(call.map(answer)) : await answer(call as RpcCall);
    sendJson(response, 200, answered);
  });

  async function answer(call: RpcCall): Promise<object> {
    const { id, method, params = [] } = call;
    note(method, params);
    const fitting = lies.filter(
      ({ lie }) => lie.method === method && (lie.of === undefined || isAbout(lie.of, params)),
    );
    const told = fitting.find((one) => lieFits(one))?.lie.answer;
    for (const one of fitting) one.count++;
    if (told !== undefined && "value" in told && method !== "eth_sendRawTransaction") return result(id, told.value);
    const truth = await ask(call);
    if (told === undefined) return endless(call, truth);
    if ("fault" in told) return { jsonrpc: "2.0", id, error: told.fault };
    if (!("result" in truth)) return truth;
    if ("value" in told) return result(id, told.value);
    if ("fields" in told) return result(id, truth.result === null ? null : { ...Object(truth.result), ...told.fields });
    const [from, to] = told.swap.map((hex) => hex.slice(2).toLowerCase());
    return result(id, JSON.parse(JSON.stringify(truth.result).replaceAll(new RegExp(from ?? "", "gi"), to ?? "")));
  }

  function note(method: string, params: readonly unknown[]): void {
    if (method === "eth_sendRawTransaction") seen.transactions.push(params[0] as Hex);
    if (method === "eth_sendTransaction" || method.startsWith("eth_sign")) seen.requests.push(params);
    const { authorizationList = [] } = Object(params[0]) as {
      readonly authorizationList?: readonly RpcAuthorization[];
    };
    seen.authorizations.push(...authorizationList);
  }

  async function ask(call: RpcCall): Promise<{ readonly id: unknown; readonly result?: unknown }> {
    const headers = { "content-type": "application/json" };
    const answered = await fetch(upstream, { method: "POST", headers, body: JSON.stringify(call) });
    return (await answered.json()) as { readonly id: unknown; readonly result?: unknown };
  }

  /** Ends the wait for a transaction whose nonce the node will never reach, with the receipt of a revert. */
  function endless({ id, method, params }: RpcCall, truth: { readonly result?: unknown }): object {
    if (method !== "eth_getTransactionReceipt" || truth.result !== null) return truth;
    const hash = String(params?.[0]);
    polls.set(hash, (polls.get(hash) ?? 0) + 1);
    return (polls.get(hash) ?? 0) > mostPolls ? result(id, revertedReceipt(hash)) : truth;
  }

  return {
    url: server.url,
    ...seen,
    tell(told) {
      lies = told.map((lie) => ({ lie, count: 0 }));
      for (const list of Object.values(seen)) list.length = 0;
      polls.clear();
    },
    close: () => server.close(),
  };
}

function lieFits({ lie, count }: { readonly lie: Lie; readonly count: number }): boolean {
  return lie.at === undefined || lie.at === count;
}

function isAbout(address: Hex, [first]: readonly unknown[]): boolean {
  const subject = typeof first === "object" && first !== null && "to" in first ? first.to : first;
  return String(subject).toLowerCase() === address.toLowerCase();
}

function result(id: unknown, value: unknown): object {
  return { jsonrpc: "2.0", id, result: value };
}

function revertedReceipt(transactionHash: string): object {
  const zeros = (bytes: number) => `0x${"00".repeat(bytes)}`;
  return {
    transactionHash,
    transactionIndex: "0x0",
    blockHash: zeros(32),
    blockNumber: "0x1",
    from: zeros(20),
    to: zeros(20),
    contractAddress: null,
    cumulativeGasUsed: "0x5208",
    gasUsed: "0x5208",
    effectiveGasPrice: "0x1",
    logs: [],
    logsBloom: zeros(256),
    status: "0x0",
    type: "0x2",
  };
}
