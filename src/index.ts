export * from "./abi/index.ts";
export * from "./chain/index.ts";
export * from "./cloud/index.ts";
export {
  type AppCompose,
  type AppComposeChanges,
  type BuildAppComposeParameters,
  buildAppCompose,
  changeAppCompose,
  maximumPayloadBytes,
  parseAppCompose,
} from "./core/app-compose.ts";
export * from "./core/compose-hash.ts";
export type { ComposeHashForm, ComposeHashFormOptions } from "./core/compose-hash-forms/compose-hash-form.ts";
export * from "./core/compose-hash-forms/registry.ts";
export { deployedApp } from "./core/deployed-app.ts";
export * from "./core/diagnose-hash-mismatch.ts";
export * from "./core/diff-app-compose.ts";
export * from "./core/encryption-key-signature.ts";
export {
  decryptEnvironment,
  type EnvironmentVariable,
  encryptEnvironment,
  parseEnvironment,
} from "./core/environment.ts";
export { explainHashMismatch } from "./core/explain-hash-mismatch.ts";
export type { Generation, GenerationId } from "./core/generation.ts";
export * from "./core/hash-doctor/examine-hashes.ts";
export * from "./core/hash-doctor/list-document-hashes.ts";
export * from "./core/hash-doctor/read-app-document.ts";
export type { Hex } from "./core/hex.ts";
export * from "./core/ids.ts";
export type { JsonObject, JsonValue } from "./core/json.ts";
export * from "./core/lint/lint-app.ts";
export type { LintProblem, LintRule, LintSeverity } from "./core/lint/lint-rule.ts";
export type * from "./core/lint/lint-subject.ts";
export { lintRules } from "./core/lint/rules.ts";
export * from "./core/receipt-events.ts";
export * from "./errors/index.ts";
export * from "./update/index.ts";
