export { type ReadDelegationParameters, type ReadDelegationReturnType, readDelegation } from "../chain/code.ts";
export {
  type Ledger,
  memoryLedger,
  type OpenLedgerOptions,
  openLedger,
} from "../chain/transactions/ledger.ts";
export { batchExecutorAddress, batchExecutorCodeHash, earlierBatchExecutors } from "../core/batch-executor.ts";
export {
  acceptKmsOwnershipCall,
  addKmsAggregatedMrCall,
  addKmsDeviceCall,
  addOsImageHashCall,
  removeKmsAggregatedMrCall,
  removeKmsDeviceCall,
  removeOsImageHashCall,
  setAppImplementationCall,
  transferKmsOwnershipCall,
} from "../core/kms-owner-calls.ts";
export { transactionGasCeiling } from "../core/order-calls.ts";
export {
  acceptOwnershipCall,
  addComposeHashCall,
  addDeviceCall,
  decodeOwnerCall,
  disableUpgradesCall,
  isSameCall,
  type OwnedContract,
  type OwnerCall,
  type OwnerCallProof,
  proveCalls,
  removeComposeHashCall,
  removeDeviceCall,
  renounceOwnershipCall,
  setAllowAnyDeviceCall,
  setRequireTcbUpToDateCall,
  transferOwnershipCall,
  upgradeCall,
} from "../core/owner-calls.ts";
export {
  buildSafeTx,
  encodeMultiSend,
  hashSafeTx,
  type SafeDomain,
  type SafeTx,
  type SafeTxHashes,
  type SafeTypedData,
  safeTxHashes,
  safeTypedData,
} from "../core/safe.ts";
export {
  type BuilderTransaction,
  type BuildTransactionBuilderFileParameters,
  buildTransactionBuilderFile,
  checksumOf,
  type TransactionBuilderFile,
} from "../core/safe-builder-file.ts";
export {
  type DecodedSafeTx,
  type DecodeSafeTxParameters,
  decodeExecTransaction,
  decodeSafeTx,
  type ExecTransaction,
  encodeExecTransaction,
  type SafeCall,
  type SafeTxProblem,
} from "../core/safe-calldata.ts";
export * from "../core/safe-signing.ts";
export { type BuildTimelockBatchParameters, buildTimelockBatch, type TimelockBatch } from "../core/timelock.ts";
export {
  type BuildSafeBatchParameters,
  buildSafeBatch,
  type FindMultiSendParameters,
  findMultiSend,
  type SafeBatch,
} from "./build-safe-batch.ts";
export { estimateBatchPrice, estimateSafePrice } from "./estimate-batch-price.ts";
export {
  type BatchPlan,
  type DelegationPlan,
  type PlanBatchParameters,
  planBatch,
} from "./plan-batch.ts";
export type { BatchEvent, BatchMode, BatchResult, BatchTransaction, CallOutcome, CallStatus } from "./run.ts";
export { type SendBatchParameters, sendBatch } from "./send-batch.ts";
export * from "./undo-delegation.ts";
