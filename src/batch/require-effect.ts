import { decodeFunctionResult, encodeFunctionData } from "viem";
import { callMany } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import type { Hex } from "../core/ids.ts";
import { abiOf, effectOf, type OwnerCall } from "../core/owner-calls.ts";
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
  const idle: OwnerCall[] = [];
  for (const to of new Set(calls.map((call) => call.to))) {
    const asked = calls.filter((call) => call.to === to && effectOf(call) !== undefined);
    for (let start = 0; start < asked.length; start += callsAtOnce)
      idle.push(...(await findIdle(client, asked.slice(start, start + callsAtOnce))));
  }
  if (idle.length > 0) throw new NoEffectError(idle);
}

async function findIdle(client: ChainClient, calls: readonly OwnerCall[]): Promise<readonly OwnerCall[]> {
  const [first] = calls;
  if (first === undefined) return [];
  const views = calls.map((call) => {
    const { view = "", args = [], alreadySo } = effectOf(call) ?? {};
    return { call, alreadySo, view, data: encodeFunctionData({ abi: abiOf(call), functionName: view, args }) };
  });
  const { answers } = await callMany(client, {
    to: first.to,
    calls: views.map(({ data }) => data),
    abi: abiOf(first),
    doing: "reading what the batch would change",
  });
  // An old contract may lack a view. The simulation of the call then decides.
  return views
    .filter(({ call, view, alreadySo }, index) => decode(call, view, answers[index]) === alreadySo)
    .map(({ call }) => call);
}

function decode(call: OwnerCall, functionName: string, data: Hex | undefined): unknown {
  try {
    return data === undefined ? undefined : decodeFunctionResult({ abi: abiOf(call), functionName, data });
  } catch {
    return undefined;
  }
}
