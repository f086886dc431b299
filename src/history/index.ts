export * from "../core/policy/allowed-at.ts";
export * from "../core/policy/policy-change.ts";
export * from "./find-block-at.ts";
export type * from "./history.ts";
export { type ChainIdentity, type HistoryStore, openHistoryStore } from "./history-store.ts";
export * from "./prove-allowlist.ts";
export * from "./read-history.ts";
