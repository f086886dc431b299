export type { Clock } from "../core/retry.ts";
export type { UpdateCvmParameters } from "./connect.ts";
export type { DocumentProof, KeyProof, Payment, StepResults, UpdateEvent, UpdateStep } from "./events.ts";
export { type Journal, memoryJournal, openJournal } from "./journal.ts";
export type { JournalEntry, PaymentStep } from "./journal-state.ts";
export { type PlanUpdateParameters, planUpdate, type UpdatePlan } from "./plan-update.ts";
export type { JournalPort } from "./ports.ts";
export type { UpdateRequest, UpdateResult, UpdateSettings, UpdateTimeouts, UpdateTransaction } from "./run.ts";
export { updateCvm } from "./update-cvm.ts";
