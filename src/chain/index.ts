export type { Price, PriceEstimate } from "../core/price.ts";
export * from "./add-compose-hash.ts";
export * from "./add-device.ts";
export type { ChainClient } from "./client.ts";
export { type DeployAppParameters, type DeployAppReturnType, deployApp } from "./deploy-app.ts";
export { type ReadGenerationParameters, readGeneration } from "./generation.ts";
export {
  type AppStatus,
  type ReadAllowlistParameters,
  type ReadAllowlistReturnType,
  type ReadAppSettingsParameters,
  type ReadAppSettingsReturnType,
  type ReadAppStatusParameters,
  type ReadAppStatusReturnType,
  type ReadOwnershipParameters,
  type ReadOwnershipReturnType,
  readAllowlist,
  readAppSettings,
  readAppStatus,
  readOwnership,
} from "./read-app.ts";
export {
  type BootInfo,
  type BootRule,
  type BootRuleName,
  type ReadBootRulesReturnType,
  type ReadBootVerdictParameters,
  type ReadBootVerdictReturnType,
  readBootRules,
  readBootVerdict,
} from "./read-boot.ts";
export {
  type AskedValue,
  type ReadKmsPublicKeyParameters,
  type ReadKmsStatusParameters,
  type ReadKmsStatusReturnType,
  readKmsPublicKey,
  readKmsStatus,
} from "./read-kms.ts";
export * from "./read-owner.ts";
export * from "./remove-compose-hash.ts";
export * from "./remove-device.ts";
export * from "./set-allow-any-device.ts";
export type { FinalityTag } from "./transactions/chain-identity.ts";
export type { NamedFees } from "./transactions/fees.ts";
export type { SenderEvent } from "./transactions/follow-context.ts";
export {
  type Ledger,
  memoryLedger,
  type OpenLedgerOptions,
  openLedger,
  type TransactionQuery,
} from "./transactions/ledger.ts";
export type {
  LedgerBatch,
  LedgerPurpose,
  LedgerTransaction,
  TransactionAttempt,
  TransactionProof,
  TransactionState,
} from "./transactions/ledger-records.ts";
export {
  type WaitForTransactionsParameters,
  type WaitForTransactionsReturnType,
  waitForTransactions,
} from "./transactions/look-at-transactions.ts";
export type { PreparedTransaction } from "./transactions/prepare.ts";
export {
  type CostFields,
  costOf,
  type EstimatePriceParameters,
  estimatePrice,
  type PricedTransaction,
} from "./transactions/price.ts";
export {
  type WaitForReceiptParameters,
  type WaitForReceiptReturnType,
  waitForReceipt,
} from "./transactions/receipt.ts";
export {
  cancelTransaction,
  type ReplaceTransactionParameters,
  replaceTransaction,
} from "./transactions/replace.ts";
export type { WriteParameters } from "./transactions/send-call.ts";
