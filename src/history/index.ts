export type { BlockRange } from "./block-ranges.ts";
export { type FindBlockAtParameters, findBlockAt } from "./blocks.ts";
export type * from "./history.ts";
export { type CreateLogIndexParameters, createLogIndex, type LogIndex, type LogIndexKind } from "./log-index.ts";
export {
  type AllowedAtReturnType,
  allowedAt,
  type ChangeOrigin,
  type ComposeHashChange,
  compareChanges,
  type DeviceChange,
  type InitialFlags,
  type PolicyChange,
  type PolicyChangeContent,
  type PolicyChangeKind,
  type PolicyLog,
} from "./policy.ts";
export type { ProvenPolicy } from "./proof.ts";
export * from "./prove-allowlist.ts";
export * from "./read-history.ts";
export type { Refusal } from "./refusals.ts";
export type { LogAnswer, LogSource } from "./scan-logs.ts";
export { type ChainIdentity, type HistoryStore, openHistoryStore } from "./store.ts";
