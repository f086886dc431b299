import { InvalidArgumentError } from "../../errors/index.ts";
import { isSameCall, type PolicyCall } from "./policy-call.ts";

/**
 * The order in which calls can safely be carried out, whether or not they end up in one transaction: a new owner
 * accepts first, additions come before removals so that the app is never without what it runs on, and what gives
 * powers away comes last. Removals right behind additions also get the refund which a transaction of removals alone
 * would lose to the cap of a fifth. Calls of one kind keep their order.
 *
 * @throws InvalidArgumentError if a call appears twice, or a value is both added and removed
 */
export function orderCalls(calls: readonly PolicyCall[]): readonly PolicyCall[] {
  const seen = new Map<string, PolicyCall>();
  for (const call of calls) {
    const twin = seen.get(subjectOf(call));
    seen.set(subjectOf(call), call);
    if (twin === undefined) continue;
    throw new InvalidArgumentError(
      isSameCall(twin, call)
        ? `The batch would ${call.description} twice.`
        : `The batch would ${twin.description} and ${call.description}.`,
      { nextStep: "Say what each value should be in the end, once.", context: { to: call.to, data: call.data } },
    );
  }
  return calls.toSorted((one, other) => rankOf(one) - rankOf(other));
}

function rankOf({ functionName }: PolicyCall): number {
  if (functionName === "acceptOwnership") return 0;
  if (functionName === "upgradeToAndCall") return 1;
  if (functionName.startsWith("remove")) return 3;
  return ["disableUpgrades", "transferOwnership", "renounceOwnership"].includes(functionName) ? 4 : 2;
}

/** What a call decides: `addX(v)` and `removeX(v)` decide the same, and so do both positions of a switch. */
function subjectOf({ to, functionName, data }: PolicyCall): string {
  const list = functionName.replace(/^(?:add|remove)(?=[A-Z])/, "");
  return list === functionName ? `${to} ${functionName}` : `${to} ${list} ${data.slice(10)}`;
}
