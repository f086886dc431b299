export type { KeyProof, PaymentFacts, StepFacts, UpdateEvent, UpdateStep } from "./events.ts";
export { type Journal, memoryJournal, openJournal } from "./journal.ts";
export type { JournalEntry, PaymentStep } from "./journal-entry.ts";
export type { Clock, JournalPort } from "./ports.ts";
export { updateCvm } from "./update-cvm.ts";
export type { UpdateResult, UpdateTransaction } from "./update-result.ts";
export type { UpdateRequest, UpdateSettings, UpdateTimeouts } from "./update-run.ts";
export type { UpdateCvmParameters } from "./wire.ts";
