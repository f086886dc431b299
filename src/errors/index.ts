export { DstackError, type DstackErrorOptions, isDstackError } from "./base.ts";
export * from "./batch.ts";
export * from "./chain.ts";
export * from "./cloud.ts";
export { type ErrorCode, type ErrorEntry, type ErrorFamily, type ErrorName, errorTable, exitCodes } from "./codes.ts";
export * from "./input.ts";
export * from "./prune.ts";
export * from "./update.ts";
export type { ContractOwnerKind } from "./ways-through.ts";
