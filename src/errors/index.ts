export {
  type ContractOwnerKind,
  DstackError,
  type DstackErrorOptions,
  type ErrorCode,
  type ErrorEntry,
  type ErrorFamily,
  type ErrorName,
  errorTable,
  exitCodes,
  isDstackError,
  type RemovalObjection,
} from "./base.ts";
export * from "./batch.ts";
export * from "./chain.ts";
export * from "./cloud.ts";
export * from "./input.ts";
export * from "./ledger.ts";
export * from "./prune.ts";
export * from "./safe.ts";
export * from "./timelock.ts";
export * from "./update.ts";
