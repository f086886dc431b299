import { decodeFunctionResult, encodeFunctionData } from "viem";
import { callMany } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import { effectOf } from "../core/call-effects.ts";
import type { Hex } from "../core/ids.ts";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";
import { NoEffectError } from "../errors/index.ts";

/** Keeps one request small, and the call to Multicall3 within the node's gas limit for calls. */
const callsAtOnce = 250;

/**
 * Refuses to add listed values, to remove absent values, and to set a flag to its present value. Such a call gets no
 * gas refund, so it costs more than a real change. It also logs a change that did not happen.
 *
 * @throws NoEffectError, RpcUnavailableError
 */
export async function requireEffect(client: ChainClient, calls: readonly OwnerCall[]): Promise<void> {
  const idle = (await readEffects(client, calls)).filter(({ isDone }) => isDone === true);
  if (idle.length > 0) throw new NoEffectError(idle.map(({ call }) => call));
}

export interface ReadEffect {
  readonly call: OwnerCall;
  /** Whether the contract already is as the call would make it. Undefined if no view function of it tells. */
  readonly isDone: boolean | undefined;
  readonly blockNumber: bigint;
}

/**
 * Reads of each call whether its effect is there. Leaves out calls whose effect no view function tells.
 *
 * @throws RpcUnavailableError
 */
export async function readEffects(client: ChainClient, calls: readonly OwnerCall[]): Promise<readonly ReadEffect[]> {
  const effects: ReadEffect[] = [];
  for (const to of new Set(calls.map((call) => call.to))) {
    const asked = calls.filter((call) => call.to === to && effectOf(call) !== undefined);
    for (let start = 0; start < asked.length; start += callsAtOnce)
      effects.push(...(await readSome(client, asked.slice(start, start + callsAtOnce))));
  }
  return effects;
}

async function readSome(client: ChainClient, calls: readonly OwnerCall[]): Promise<readonly ReadEffect[]> {
  const [first] = calls;
  if (first === undefined) return [];
  const views = calls.map((call) => {
    const { view = "", args = [], alreadySo } = effectOf(call) ?? {};
    return { call, alreadySo, view, data: encodeFunctionData({ abi: abiOf(call), functionName: view, args }) };
  });
  const { answers, blockNumber } = await callMany(client, {
    to: first.to,
    calls: views.map(({ data }) => data),
    abi: abiOf(first),
    doing: "reading what the batch would change",
  });
  // An old contract may lack a view. The simulation of the call then decides.
  return views.map(({ call, view, alreadySo }, index) => {
    const value = decode(call, view, answers[index]);
    return { call, isDone: typeof value === "boolean" ? value === alreadySo : undefined, blockNumber };
  });
}

function decode(call: OwnerCall, functionName: string, data: Hex | undefined): unknown {
  try {
    return data === undefined ? undefined : decodeFunctionResult({ abi: abiOf(call), functionName, data });
  } catch {
    return undefined;
  }
}
