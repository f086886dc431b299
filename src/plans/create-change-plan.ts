import { orderCalls } from "../core/order-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import type { ChangePlan } from "./change-plan.ts";
import { readPlanBody, toPlanBody } from "./plan-body.ts";

export type CreateChangePlanParameters = Omit<ChangePlan, "schemaVersion" | "digest">;

/**
 * Creates a plan and computes its digest. Orders the changes as they are executed, and writes addresses in lower case.
 *
 * @throws InvalidArgumentError if a call is for a contract that the plan does not name, or calls contradict each other
 *
 * @example
 * import { addComposeHashCall } from "dstack-toolkit/batch";
 * import { createChangePlan } from "dstack-toolkit/plans";
 * import { appId, composeHash, pinned, safe } from "./app.js";
 * const plan = createChangePlan({
 *   ...{ task: "release", createdBy: "release.ts", createdAt: new Date().toISOString() },
 *   ...{ chainId: 8453, appId, kms: undefined, owner: { address: safe, kind: "safe" }, pinned },
 *   contracts: [{ contract: "app", address: appId, generation: "first" }],
 *   changes: [{ call: addComposeHashCall({ appId, composeHash }), reason: { rule: "requested" } }],
 *   ...{ accepted: [], price: null },
 * });
 */
export function createChangePlan({ changes, ...content }: CreateChangePlanParameters): ChangePlan {
  const ordered = orderCalls(changes.map(({ call }) => call)).flatMap((call) =>
    changes.filter((change) => change.call === call),
  );
  const reading = readPlanBody(toPlanBody({ ...content, changes: ordered, schemaVersion: 1 }));
  if ("plan" in reading) return reading.plan;
  throw new InvalidArgumentError(`The plan cannot be used: ${reading.problem}.`, {
    nextStep: "Nothing was sent. Plan calls for the contracts that the plan names.",
    context: { problem: reading.problem },
  });
}
