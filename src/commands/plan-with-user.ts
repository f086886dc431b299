import { type BatchPlan, type DelegationPlan, type PlanBatchParameters, planBatch } from "../batch/plan-batch.ts";
import { deterministicDeployer } from "../core/batch-executor.ts";
import type { ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";

/** How the user allows a delegation without being asked. */
export const howToDelegate =
  "to send one transaction, allow the delegation: --batch auto:delegate, or dstack.batch.delegate in the configuration";

/**
 * Plans how calls are sent. A delegation stays on the account after its batch, so with `auto` an account begins to
 * delegate only if the user has allowed that: in the configuration, on the command line, or in the answer to a question
 * here. Without a terminal, and with --yes, there is no question and the calls are sent one by one.
 *
 * @throws AbortError if the user stops the task at the question, and what planBatch throws
 */
export async function planWithUser(
  { ask, output }: Pick<TaskIo, "ask" | "output">,
  { client, chainId, allowDelegation }: ConnectedChain,
  parameters: PlanBatchParameters,
): Promise<BatchPlan> {
  const wanted = { ...parameters, chainId, allowDelegation: parameters.allowDelegation ?? allowDelegation };
  const plan = await planBatch(client, wanted);
  const { account, calls, offer } = plan;
  if (offer === undefined || ask === undefined) return plan;
  output.line(`${account} can send one transaction instead of ${calls.length} if it does this:`);
  for (const line of describeDelegation(offer)) output.line(line);
  const isAllowed = await ask("Delegate? If not, each change is sent in its own transaction.");
  // The first plan has checked that every call changes something.
  return isAllowed ? planBatch(client, { ...wanted, allowDelegation: true, allowNoEffect: true }) : plan;
}

/** What the account signs for a delegation besides its calls. */
export function describeDelegation({ executor, authorizes, replaces, deploys }: DelegationPlan): readonly string[] {
  const lines = [
    deploys && `deploys the batch executor first, at ${executor}, through ${deterministicDeployer}`,
    authorizes
      ? `signs a delegation: the batch executor's code at ${executor} then acts for the account until dstack batch undo-delegation ends it`
      : `the account already delegates to the batch executor, ${executor}: no authorisation is signed`,
    replaces !== undefined && `this delegation replaces the one to ${replaces}, an earlier batch executor`,
  ];
  return lines.flatMap((line) => (line === false ? [] : [`  ${line}`]));
}
