export type { FinalityTag } from "../chain/transactions/chain-identity.ts";
export type { SenderEvent } from "../chain/transactions/follow-context.ts";
export { type Ledger, memoryLedger, type OpenLedgerOptions, openLedger } from "../chain/transactions/ledger.ts";
export type { Clock } from "../core/retry.ts";
export { type CommitUpdateParameters, commitUpdate } from "./commit-update.ts";
export { type CommitUpdatesParameters, commitUpdates } from "./commit-updates.ts";
export type { UpdateCvmParameters } from "./connect.ts";
export type { DocumentProof, KeyProof, StepResults, UpdateEvent, UpdateStep } from "./events.ts";
export { type PlanUpdateParameters, planUpdate, type UpdatePlan } from "./plan-update.ts";
export type { Payment, PaymentIntent, UpdateDraft } from "./ports.ts";
export {
  type PreparedUpdate,
  type PrepareUpdateParameters,
  type PrepareUpdateResult,
  prepareUpdate,
} from "./prepare-update.ts";
export {
  loadPreparedUpdates,
  type PreparedUpdates,
  removePreparedUpdates,
  savePreparedUpdates,
} from "./prepared-file.ts";
export type { PaymentStep } from "./progress.ts";
export type { UpdateRequest, UpdateResult, UpdateSettings, UpdateTimeouts } from "./run.ts";
export { updateCvm } from "./update-cvm.ts";
