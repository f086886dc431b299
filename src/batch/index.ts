export * from "../core/batch/app-calls.ts";
export { batchExecutorAddress, batchExecutorCodeHash } from "../core/batch/batch-executor.ts";
export { transactionGasCeiling } from "../core/batch/chunk-calls.ts";
export * from "../core/batch/kms-calls.ts";
export { decodePolicyCall, isSameCall, type PolicyCall, type PolicyProof } from "../core/batch/policy-call.ts";
export type { PolicyContract } from "../core/batch/policy-functions.ts";
export { proveCalls } from "../core/batch/prove-calls.ts";
export { buildSafeTx, encodeMultiSend, hashSafeTx, type SafeDomain, type SafeTx } from "../core/batch/safe/safe-tx.ts";
export * from "../core/batch/safe/transaction-builder-file.ts";
export * from "../core/batch/timelock-batch.ts";
export type { BatchEvent } from "./batch-event.ts";
export { type BatchEntry, type BatchEntryEnd, type BatchJournal, memoryBatchJournal } from "./batch-journal.ts";
export type { BatchMode, BatchResult, BatchTransaction, CallOutcome, CallStatus } from "./batch-result.ts";
export * from "./build-safe-batch.ts";
export * from "./find-multi-send.ts";
export { type BatchJournalFile, type OpenBatchJournalOptions, openBatchJournal } from "./open-batch-journal.ts";
export {
  type BatchPlan,
  type DelegationPlan,
  type PlanBatchParameters,
  planBatch,
} from "./plan-batch.ts";
export * from "./read-delegation.ts";
export { type SendBatchParameters, sendBatch } from "./send-batch.ts";
export * from "./undo-delegation.ts";
