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
export type { ComposeHashForm, ComposeHashFormOptions } from "./core/compose-hash-forms/form.ts";
export { type ComposeHashInForm, composeHashForms, hashInEveryForm } from "./core/compose-hash-forms/forms.ts";
export {
  type ComposeProblem,
  type ValidateDockerComposeOptions,
  validateDockerCompose,
} from "./core/compose-schema/validate.ts";
export * from "./core/encryption-key-signature.ts";
export {
  decryptEnvironment,
  type EnvironmentVariable,
  encryptEnvironment,
  parseEnvironment,
} from "./core/environment.ts";
export {
  type AppEvent,
  appEvents,
  deployedApp,
  type EventLog,
  type EventReceipt,
  type ProvenValues,
  type ProvingEventName,
  type RequireEventParameters,
  requireEvent,
} from "./core/events.ts";
export {
  type AppDocument,
  type BackendDocument,
  type DocumentHash,
  type ExaminedHash,
  examineHashes,
  type HashExamination,
  type HashFinding,
  type HashInputs,
  hashesToAsk,
  listDocumentHashes,
  type ReadAppDocumentParameters,
  readAppDocument,
} from "./core/examine-hashes.ts";
export type { Generation, GenerationId } from "./core/generation.ts";
export {
  type AppComposeDifference,
  type DifferingLine,
  diagnoseHashMismatch,
  diffAppCompose,
  explainHashMismatch,
  type HashMismatch,
  type HashMismatchDiagnosis,
} from "./core/hash-mismatch.ts";
export {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseAppId,
  parseComposeHash,
  parseDeviceId,
  parseTransactionHash,
  type TransactionHash,
} from "./core/ids.ts";
export type { JsonObject, JsonValue } from "./core/json.ts";
export { type LintFinding, lintApp, lintRules } from "./core/lint/lint.ts";
export type {
  LintCall,
  LintedApp,
  LintedCvm,
  LintedKms,
  LintedOwner,
  LintedPolicy,
  LintInput,
  LintProblem,
  LintRule,
  LintSeverity,
  LintSubject,
} from "./core/lint/rule.ts";
export { type LiveDeployment, liveDeployments } from "./core/live-deployments.ts";
export * from "./errors/index.ts";
export * from "./generated/abi.ts";
export * from "./update/index.ts";
