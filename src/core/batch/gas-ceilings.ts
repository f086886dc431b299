import type { PolicyCall } from "./policy-call.ts";

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
