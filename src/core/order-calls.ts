import { hexToBytes, size } from "viem";
import { InvalidArgumentError } from "../errors/index.ts";
import type { Hex } from "./ids.ts";
import { callsInOperation, isSameCall, type OwnerCall } from "./owner-calls.ts";

/** Highest gas limit of one transaction on Base and, since Fusaka, on Ethereum (EIP-7825). */
export const transactionGasCeiling = 16_777_216n;

/**
 * Upper bounds of the gas of one call inside a batch: a write to a cold slot, both events, the proxy, and a margin for
 * other versions of the contract. Refunds are not subtracted, because the ceiling ignores them.
 */
const removal = 14_000n;
const addition = 36_000n;
const anythingElse = 100_000n;
/** Gas of the transaction itself, of one authorisation, and of the first access to a proxy and its implementation. */
const fixed = 80_000n;

/** Calldata that ERC-7821 adds to a call, in bytes, most of which are zero. */
const wrapperBytes = 192n;

/**
 * Splits calls into batches that each fit into one transaction. Keeps their order. A call that is too large for any
 * batch gets a batch of its own; the node's gas estimate then reports the problem.
 */
export function chunkCalls(
  calls: readonly OwnerCall[],
  { ceiling = transactionGasCeiling }: { readonly ceiling?: bigint },
): readonly (readonly OwnerCall[])[] {
  const chunks: OwnerCall[][] = [];
  let left = 0n;
  for (const call of calls) {
    const gas = boundOf(call) + calldataGas(call) + 4n * wrapperBytes;
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

function boundOf(call: OwnerCall): bigint {
  const { contract, functionName } = call;
  if (contract === "timelock") return gasCeilingOf(call);
  if (functionName.startsWith("remove")) return removal;
  return functionName.startsWith("add") ? addition : anythingElse;
}

/** Gas that each transaction takes before anything runs. */
export const transactionGas = 21_000n;

/** Upper bound of the gas of a transaction with this call alone, for where the node cannot estimate it. */
export function gasBoundOf(call: OwnerCall): bigint {
  return transactionGas + boundOf(call) + calldataGas(call);
}

function calldataGas({ to, data }: OwnerCall): bigint {
  return 4n * (tokensOf(to) + tokensOf(data));
}

/** Gas of a transaction with this calldata that executes nothing (EIP-7623). */
export function idleGasOf(data: Hex): bigint {
  return transactionGas + 10n * tokensOf(data);
}

/** The unit in which calldata is priced. */
function tokensOf(data: Hex): bigint {
  return hexToBytes(data).reduce((tokens, byte) => tokens + (byte === 0 ? 1n : 4n), 0n);
}

/**
 * Highest gas limit that this package signs for, regardless of the endpoint's estimate. Unused gas costs nothing. But a
 * contract that the caller called by mistake can burn the whole limit: the limit times the gas price is the most that
 * such a mistake costs. The values are several times the usual cost. This leaves room for owners' own contract versions
 * and for higher storage prices.
 */
const ceilings: Readonly<Record<string, bigint>> = {
  upgradeToAndCall: 3_000_000n, // runs an initialiser that the owner chose
  deployAndRegisterApp: 3_000_000n,
};
const anyOtherCall = 250_000n;

/** Deploying the batch executor takes about 675,000 gas. */
export const executorDeploymentGasCeiling = 1_500_000n;
/** Deploying the largest implementation (24 KB of code), its proxy, and the registration. */
export const contractDeploymentGasCeiling = 10_000_000n;
/** A transaction from the account to itself with one authorisation. */
export const undoDelegationGasCeiling = 250_000n;
/** Gas of a batch in addition to its calls: the transaction, an authorisation and the executor's own code. */
const batchOverhead = 250_000n;

/** Gas to schedule one call of a timelock's operation: its calldata, and an event that repeats it. */
const scheduledCall = 40_000n;

/** Returns the gas ceiling of a transaction with this one call. A call of no owner needs only its function's name. */
export function gasCeilingOf(call: OwnerCall | Pick<OwnerCall, "functionName">): bigint {
  const inOperation = "contract" in call ? callsInOperation(call) : [];
  if (inOperation.length === 0) return ceilings[call.functionName] ?? anyOtherCall;
  if (call.functionName.startsWith("execute")) return batchGasCeilingOf(inOperation);
  return anyOtherCall + scheduledCall * BigInt(inOperation.length);
}

/** Returns the gas ceiling of one transaction with all these calls. */
export function batchGasCeilingOf(calls: readonly OwnerCall[]): bigint {
  return batchOverhead + calls.reduce((sum, call) => sum + gasCeilingOf(call), 0n);
}

/** Gas of a Safe for 65 bytes of signatures: several times the usual cost, for owners that are contracts. */
const safeSignatureCeiling = 40_000n;

/** Returns the gas ceiling of a Safe's transaction with all these calls. */
export function safeGasCeilingOf(calls: readonly OwnerCall[], signatures: Hex): bigint {
  return batchGasCeilingOf(calls) + safeSignatureCeiling * BigInt(Math.ceil(size(signatures) / 65));
}

/**
 * Sorts calls into a safe order, for one transaction or for several. `acceptOwnership` comes first. Additions come
 * before removals, so that the app never lacks the hash or the device it runs on. Calls that give up rights come last.
 * Removals in the same transaction as additions also get their full gas refund; in a transaction of removals alone, the
 * cap of one fifth cuts it. Calls of the same kind keep their order.
 *
 * @throws InvalidArgumentError if a call appears twice, or a value is both added and removed
 */
export function orderCalls(calls: readonly OwnerCall[]): readonly OwnerCall[] {
  const seen = new Map<string, OwnerCall>();
  for (const call of calls) {
    const twin = seen.get(subjectOf(call));
    seen.set(subjectOf(call), call);
    if (twin === undefined) continue;
    throw new InvalidArgumentError(
      isSameCall(twin, call)
        ? `The batch would ${call.description} twice.`
        : `The batch would ${twin.description} and ${call.description}.`,
      { nextStep: "Give each value only once.", context: { to: call.to, data: call.data } },
    );
  }
  return calls.toSorted((one, other) => rankOf(one) - rankOf(other));
}

function rankOf({ functionName }: OwnerCall): number {
  if (functionName === "acceptOwnership") return 0;
  if (functionName === "upgradeToAndCall") return 1;
  if (functionName.startsWith("remove")) return 3;
  return ["disableUpgrades", "transferOwnership", "renounceOwnership"].includes(functionName) ? 4 : 2;
}

/**
 * Identifies the setting that a call changes. `addX(v)` and `removeX(v)` change the same setting; so do both values of
 * a switch. A timelock may have any number of operations.
 */
function subjectOf({ contract, to, functionName, data }: OwnerCall): string {
  if (contract === "timelock") return `${to} ${data}`;
  const list = functionName.replace(/^(?:add|remove)(?=[A-Z])/, "");
  return list === functionName ? `${to} ${functionName}` : `${to} ${list} ${data.slice(10)}`;
}

/**
 * Splits ordered calls after each call that changes the owner or the code. The node can simulate the later calls only
 * after that call is mined.
 */
export function groupCalls(calls: readonly OwnerCall[]): readonly (readonly OwnerCall[])[] {
  const groups: OwnerCall[][] = [[]];
  for (const call of calls) {
    groups.at(-1)?.push(call);
    if (["acceptOwnership", "upgradeToAndCall"].includes(call.functionName)) groups.push([]);
  }
  return groups.filter((group) => group.length > 0);
}
