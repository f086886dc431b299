import type { PolicyCall } from "./policy-call.ts";

/**
 * Cuts ordered calls behind those that change who may call or what code answers: what follows can be tried on a node
 * only once they are mined.
 */
export function groupCalls(calls: readonly PolicyCall[]): readonly (readonly PolicyCall[])[] {
  const groups: PolicyCall[][] = [[]];
  for (const call of calls) {
    groups.at(-1)?.push(call);
    if (["acceptOwnership", "upgradeToAndCall"].includes(call.functionName)) groups.push([]);
  }
  return groups.filter((group) => group.length > 0);
}
