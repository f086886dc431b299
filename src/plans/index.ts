export type {
  ChangePlan,
  ChangeReason,
  OwnerKind,
  PlannedChange,
  PlannedContract,
  PlannedCvm,
  PlannedOwner,
  PlannedPrune,
  PlannedUpdate,
  PlannedUpgrade,
} from "./change-plan.ts";
export { type CheckPlanParameters, checkPlan, type PlanCheck, type PlanObjection } from "./check-plan.ts";
export type { MissingPermission } from "./check-update.ts";
export { type CreateChangePlanParameters, createChangePlan } from "./create-change-plan.ts";
export {
  type Contradiction,
  type FindExecutionParameters,
  findExecution,
  type PlanExecution,
} from "./find-execution.ts";
export { loadPlan, savePlan } from "./plan-file.ts";
export type { ReasonSource } from "./reason-rules.ts";
