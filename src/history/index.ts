export { type FindBlockAtParameters, findBlockAt } from "./blocks.ts";
export type * from "./history.ts";
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
} from "./policy.ts";
export * from "./prove-allowlist.ts";
export * from "./read-history.ts";
export { type ChainIdentity, type HistoryStore, openHistoryStore } from "./store.ts";
