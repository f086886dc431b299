import type { Address } from "viem";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";
import type { ExecutablePlan, proveExecution } from "../governance/prove-execution.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { LocalChainClient } from "../world/chain/client.ts";
import type { Impersonation } from "./impersonation.ts";
import type { RehearsedTransaction, StepRecorder } from "./step.ts";

export type RehearsablePlan = ExecutablePlan & Pick<ChangePlan, "digest" | "pinned">;

/** How a key would send several calls. */
export interface KeyBatch {
  /** As `planBatch` takes it. */
  readonly mode: "auto" | "none" | "7702";
  readonly allowDelegation?: boolean | undefined;
}

/** What all ways of execution share. */
export interface ExecutionContext {
  readonly client: LocalChainClient;
  readonly plan: RehearsablePlan;
  readonly calls: readonly OwnerCall[];
  readonly impersonation: Impersonation;
  readonly recorder: StepRecorder;
  /** Moves the clock of the chain, and of all that must agree with it, and mines a block. */
  readonly advance: (seconds: number) => Promise<void>;
  readonly batch: KeyBatch;
  readonly proposer: Address | undefined;
  readonly signal: AbortSignal | undefined;
  /** Adds a sentence to the deviations, once. */
  readonly deviate: (sentence: string) => void;
  /** Proves that a transaction made exactly these calls of the plan. A refusal is recorded and not thrown. */
  readonly prove: (calls: readonly OwnerCall[], demands: Parameters<typeof proveExecution>[2]) => Promise<void>;
}

export interface SendAsParameters {
  readonly from: Address;
  readonly call: OwnerCall;
  /** @default the call's description */
  readonly what?: string | undefined;
}

/** Sends one call as an impersonated account. */
export async function sendAs(
  { impersonation, recorder }: Pick<ExecutionContext, "impersonation" | "recorder">,
  { from, call, what = call.description }: SendAsParameters,
): Promise<RehearsedTransaction> {
  const { to, data, functionName } = call;
  const receipt = await impersonation.send({ from, to, data, functionName, abi: abiOf(call) });
  return recorder.addTransaction({ what, receipt, data, calls: [call] });
}
