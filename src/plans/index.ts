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
export { type CreateChangePlanParameters, createChangePlan } from "./create-change-plan.ts";
export { loadPlan, savePlan } from "./plan-file.ts";
