import { z } from "zod";
import * as protocol from "../../cloud/protocol.ts";

/** Names and descriptions of schemas in the OpenAPI document. A registry of its own: zod's global one is everybody's. */
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
  ComposeFile: protocol.composeFileSchema,
  ProvisionedComposeFile: protocol.provisionComposeFileSchema,
  ProvisionedCvm: protocol.provisionCvmSchema,
  Vm: protocol.vmSchema,
  UpdateAccepted: protocol.updateAcceptedSchema,
  InProgress: protocol.inProgressSchema,
  EnvsInProgress: protocol.envsInProgressSchema,
})) {
  schemaRegistry.add(schema, { id });
}
