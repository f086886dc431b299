import { z } from "zod";
import * as protocol from "../../cloud/protocol.ts";
import {
  errorBodySchema,
  hashRegistrationBodySchema,
  plainErrorBodySchema,
  validationErrorBodySchema,
} from "../../cloud/protocol.ts";
import { replacePendingHeader } from "../errors.ts";

/**
 * Names and descriptions of schemas in the OpenAPI document. A separate registry, because zod's global one is shared.
 */
export const schemaRegistry = z.registry<{ id?: string; description?: string }>();

for (const [id, schema] of Object.entries({
  Error: protocol.errorBodySchema,
  PlainError: protocol.plainErrorBodySchema,
  ValidationError: protocol.validationErrorBodySchema,
  HashRegistrationRequired: protocol.hashRegistrationBodySchema,
  KmsInfo: protocol.kmsInfoSchema,
  KmsList: protocol.kmsListSchema,
  KmsContract: protocol.kmsContractSchema,
  KmsContractList: protocol.kmsContractListSchema,
  KmsContractNodes: protocol.kmsContractNodesSchema,
  KmsOnChainDetail: protocol.kmsOnChainDetailSchema,
  NextAppIds: protocol.nextAppIdsSchema,
  AppPublicKey: protocol.appPublicKeySchema,
  CurrentUser20251028: protocol.currentUser20251028Schema,
  CurrentUser20260121: protocol.currentUser20260121Schema,
  CvmDetail20251028: protocol.cvmDetail20251028Schema,
  CvmDetail20260121: protocol.cvmDetail20260121Schema,
  CvmState: protocol.cvmStateSchema,
  AwaitedFinality: protocol.finalitySchema,
  ComposeFile: protocol.composeFileSchema,
  ProvisionedComposeFile: protocol.provisionComposeFileSchema,
  ProvisionedCvm: protocol.provisionCvmSchema,
  Vm: protocol.vmSchema,
  UpdateAccepted: protocol.updateAcceptedSchema,
  InProgress: protocol.inProgressSchema,
  EnvsInProgress: protocol.envsInProgressSchema,
  App20251028: protocol.app20251028Schema,
  App20260121: protocol.app20260121Schema,
  AppList20251028: protocol.appList20251028Schema,
  AppList20260121: protocol.appList20260121Schema,
  AppFilterOptions: protocol.appFilterOptionsSchema,
  CvmBasicInfo: protocol.cvmBasicInfoSchema,
  CvmInfo20251028: protocol.cvmInfo20251028Schema,
  CvmInfo20260121: protocol.cvmInfo20260121Schema,
  CvmPage20251028: protocol.cvmPage20251028Schema,
  CvmPage20260121: protocol.cvmPage20260121Schema,
  StatusBatch: protocol.statusBatchSchema,
  CvmStats: protocol.cvmStatsSchema,
  CvmNetwork: protocol.cvmNetworkSchema,
  CvmComposition: protocol.cvmCompositionSchema,
  NodeCapacity: protocol.nodeCapacitySchema,
  AvailableNodes: protocol.availableNodesSchema,
  CvmCreateResources: protocol.cvmCreateResourcesSchema,
  WorkspaceNodes: protocol.workspaceNodesSchema,
  Workspace: protocol.workspaceSchema,
  WorkspaceList: protocol.workspaceListSchema,
  WorkspaceQuotas: protocol.workspaceQuotasSchema,
  InstanceType: protocol.instanceTypeSchema,
  InstanceTypeFamilies: protocol.instanceTypeFamiliesSchema,
  InstanceTypeFamily: protocol.instanceTypeFamilySchema,
  OsImagePage: protocol.osImagePageSchema,
  SshKey: protocol.sshKeySchema,
  GithubProfileImport: protocol.importGithubProfileSchema,
  GithubKeySync: protocol.syncGithubKeysSchema,
  InstanceRegistrationRequired: protocol.instanceRegistrationBodySchema,
  PreparedInstance: protocol.preparedInstanceSchema,
  IsAllowed: protocol.isAllowedSchema,
  AppCvmsAreAllowed: protocol.appCvmsAreAllowedSchema,
  DeviceAllowlist: protocol.deviceAllowlistSchema,
  Visibility: protocol.visibilitySchema,
  Listed: protocol.listedSchema,
  ScriptUpgradeStatus: protocol.scriptUpgradeStatusSchema,
  RedeployedRevision: protocol.redeployedRevisionSchema,
  UserConfig: protocol.userConfigSchema,
  Attestation: protocol.attestationSchema,
  AppAttestation: protocol.appAttestationSchema,
  InstanceIdRefresh: protocol.instanceIdRefreshSchema,
  InstanceIdRefreshes: protocol.instanceIdRefreshesSchema,
  Revision: protocol.revisionSchema,
  RevisionList: protocol.revisionListSchema,
  RevisionDetail: protocol.revisionDetailSchema,
  PendingUpdatePreview: protocol.pendingUpdatePreviewSchema,
  Webhook: protocol.webhookSchema,
  WebhookList: protocol.webhookListSchema,
  CreatedWebhook: protocol.createdWebhookSchema,
  WebhookSecret: protocol.webhookSecretSchema,
  WebhookDelivery: protocol.webhookDeliverySchema,
  WebhookDeliveryList: protocol.webhookDeliveryListSchema,
  CommitAccepted: protocol.commitUpdateSchema,
  CommitTokenInfo: protocol.commitTokenInfoSchema,
  DeviceCode: protocol.deviceCodeSchema,
  DeviceToken: protocol.deviceTokenSchema,
  DeviceTokenError: protocol.deviceTokenErrorSchema,
})) {
  schemaRegistry.add(schema, { id });
}

const anyErrorSchema = z.union([errorBodySchema, plainErrorBodySchema]);

/** Error answers that any endpoint may give. */
export const refusals = {
  400: errorBodySchema,
  401: plainErrorBodySchema,
  403: plainErrorBodySchema,
  404: anyErrorSchema,
  413: errorBodySchema,
  415: plainErrorBodySchema,
  422: validationErrorBodySchema,
  429: plainErrorBodySchema,
  500: plainErrorBodySchema,
  503: errorBodySchema,
} as const;

/** Endpoints that change a CVM, which may be busy. */
export const mutationRefusals = { ...refusals, 409: anyErrorSchema, 507: plainErrorBodySchema } as const;

/** Endpoints that work in two phases. */
export const twoPhaseRefusals = {
  ...mutationRefusals,
  465: hashRegistrationBodySchema,
  466: errorBodySchema,
  467: errorBodySchema,
  468: errorBodySchema,
} as const;

export const cvmParams = z.object({
  cvm_id: described(z.string(), "Hashid, number, UUID, `app_…`, `0x…`, bare app id, `instance_…`, or unique name."),
});

export const appParams = z.object({ app_id: described(z.string(), "Bare app id, `0x…` or `app_…`.") });

/** Endpoints whose answers differ between API versions. Any date is accepted. The default is the newest version. */
export const versionHeaders = z.looseObject({
  "x-phala-version": described(z.string().optional(), "A date such as 2026-01-21, or `latest`."),
});

/** Of every endpoint that would replace an update that waits for finality. */
export const replaceHeaders = z.looseObject({
  [replacePendingHeader.toLowerCase()]: described(
    z.string().optional(),
    "Ours, not the vendor's: `true` confirms that the request may replace an update that waits for the finality of " +
      "its registration. Without it the answer is 409 with ERR-01-409.",
  ),
});

/** Hash and transaction of phase 2. A client may send them in the body instead. */
export const confirmationHeaders = replaceHeaders.extend({
  "x-compose-hash": z.string().optional(),
  "x-transaction-hash": z.string().optional(),
  "x-prepare-only": described(z.string().optional(), "`true` requests a commit token if a hash must be registered."),
});

/** Asks for a commit token instead of an immediate change. */
export const prepareHeaders = versionHeaders.extend({ "x-prepare-only": z.string().optional() });

/** A text as `text/plain`, not as a JSON string. */
export const textAnswer = { content: { "text/plain": { schema: z.string() } } };

export function described<Schema extends z.ZodType>(schema: Schema, description: string): Schema {
  schemaRegistry.add(schema, { description });
  return schema;
}
