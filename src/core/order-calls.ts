import { hexToBytes } from "viem";
import { InvalidArgumentError } from "../errors/index.ts";
import { isSameCall, type PolicyCall } from "./owner-calls.ts";

/** Most gas one transaction may have as its limit on Base and since Fusaka on Ethereum (EIP-7825). */
export const transactionGasCeiling = 16_777_216n;

/**
 * Upper bounds in gas of one call inside a batch, before refunds, which the ceiling does not count: a write to a
 * cold slot, both events, the way through a proxy, and room for other versions of the contract.
 */
const removal = 14_000n;
const addition = 36_000n;
const anythingElse = 100_000n;
/** The transaction itself, an authorisation, and the first touch of a proxy and its implementation. */
const fixed = 80_000n;

/**
 * Cuts calls into batches that each fit a transaction, in their order. A call that does not fit at all gets a batch
 * of its own; the node's estimate then says so.
 *
 * @param wrapperBytes calldata a batch format adds per call; counted as zeros
 */
export function chunkCalls(
  calls: readonly PolicyCall[],
  {
    ceiling = transactionGasCeiling,
    wrapperBytes = 160,
  }: { readonly ceiling?: bigint; readonly wrapperBytes?: number },
): readonly (readonly PolicyCall[])[] {
  const chunks: PolicyCall[][] = [];
  let left = 0n;
  for (const call of calls) {
    const gas = boundOf(call) + calldataGas(call) + 4n * BigInt(wrapperBytes);
    const current = chunks.at(-1);
    if (current === undefined || gas > left) {
      chunks.push([call]);
      left = ceiling - fixed - gas;
    } else {
      current.push(call);
      left -= gas;
    }
  }
  return chunks;
}

function boundOf({ functionName }: PolicyCall): bigint {
  if (functionName.startsWith("remove")) return removal;
  return functionName.startsWith("add") ? addition : anythingElse;
}

function calldataGas({ to, data }: PolicyCall): bigint {
  return [...hexToBytes(to), ...hexToBytes(data)].reduce((gas, byte) => gas + (byte === 0 ? 4n : 16n), 0n);
}

/**
 * Most gas that is ever signed for, whatever an endpoint estimates. Unused gas is not paid, but a contract that the
 * caller did not mean to call can burn all it is given: the ceiling, times the price, is what such a mistake costs.
 * Several times what the contracts use, so that owners' own versions and dearer storage fit.
 */
const ceilings: Readonly<Record<string, bigint>> = {
  upgradeToAndCall: 3_000_000n, // runs an initialiser of the owner's
  deployAndRegisterApp: 3_000_000n,
};
const anyOtherCall = 250_000n;

/** Deploying the batch executor takes about half a million gas. */
export const executorDeploymentGasCeiling = 1_500_000n;
/** A transaction to oneself with one authorisation. */
export const undoDelegationGasCeiling = 250_000n;
/** What a batch costs beside its calls: the transaction, an authorisation and the executor's own code. */
const batchOverhead = 250_000n;

/** Of a transaction with this one call of an app or a KMS. */
export function gasCeilingOf(functionName: string): bigint {
  return ceilings[functionName] ?? anyOtherCall;
}

/** Of one transaction with all these calls. */
export function batchGasCeilingOf(calls: readonly Pick<PolicyCall, "functionName">[]): bigint {
  return batchOverhead + calls.reduce((sum, { functionName }) => sum + gasCeilingOf(functionName), 0n);
}

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
