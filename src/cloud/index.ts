export * from "./commit-compose-file.ts";
export * from "./commit-cvm-update.ts";
export * from "./create-client.ts";
export * from "./create-cvm.ts";
export type { Cvm, Kms, RegisteredHash } from "./cvm.ts";
export * from "./get-app.ts";
export * from "./get-app-cvms.ts";
export * from "./get-app-encryption-key.ts";
export * from "./get-app-revision.ts";
export {
  type AppRevision,
  type AppRevisions,
  type GetAppRevisionsParameters,
  getAppRevisions,
  safeGetAppRevisions,
} from "./get-app-revisions.ts";
export * from "./get-compose-file.ts";
export * from "./get-cvm.ts";
export * from "./get-cvm-os-image.ts";
export * from "./get-cvm-state.ts";
export * from "./get-docker-compose.ts";
export * from "./get-known-devices.ts";
export * from "./get-nodes.ts";
export * from "./get-operation-kinds.ts";
export * from "./get-pending-update.ts";
export {
  type ConfirmCvmPatchParameters,
  confirmCvmPatch,
  type OnchainStatus,
  type PatchAccepted,
  type PatchCvmParameters,
  type PatchOutcome,
  patchCvm,
  type RegistrationRequired,
  safeConfirmCvmPatch,
  safePatchCvm,
} from "./patch-cvm.ts";
export * from "./prepare-cvm-update.ts";
export * from "./provision-compose-file.ts";
export * from "./provision-cvm.ts";
export type { SafeResult } from "./replies.ts";
export * from "./stop-cvm.ts";
export * from "./update-cvm-envs.ts";
export * from "./update-docker-compose.ts";
export * from "./update-pre-launch-script.ts";
export * from "./watch-cvm-state.ts";
