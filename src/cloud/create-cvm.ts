import { type AppId, type ComposeHash, type Hex, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { toAppId } from "./cvm.ts";
import { type CreateCvmRequest, vmSchema } from "./protocol.ts";
import { parseReply, safe } from "./replies.ts";

export interface CreateCvmParameters {
  readonly appId: AppId;
  /** Hash of the provisioned document. */
  readonly composeHash: ComposeHash;
  /** Hex from `encryptEnvironment`. */
  readonly encryptedEnvironment?: string | undefined;
  readonly environmentNames?: readonly string[] | undefined;
  /** Id or slug of the KMS. This and the next two fields are only for an on-chain KMS. */
  readonly kms?: string | undefined;
  readonly contractAddress?: Hex | undefined;
  readonly deployerAddress?: Hex | undefined;
}

export interface CreatedCvm {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly appId: AppId | undefined;
  readonly vmUuid: string | undefined;
}

/**
 * Creates the CVM of a provisioned document. A second call with the same app and hash returns the same CVM.
 *
 * @throws CloudError
 *
 * @example
 * import { createCvm } from "dstack-toolkit/cloud";
 * import { appId, cloud, composeHash } from "./app.js";
 * const { id, status } = await createCvm(cloud, { appId, composeHash });
 */
export async function createCvm(client: CloudClient, parameters: CreateCvmParameters): Promise<CreatedCvm> {
  const body: CreateCvmRequest = {
    app_id: parameters.appId,
    compose_hash: withoutPrefix(parameters.composeHash),
    encrypted_env: parameters.encryptedEnvironment,
    env_keys: parameters.environmentNames && [...parameters.environmentNames],
    kms_id: parameters.kms,
    contract_address: parameters.contractAddress,
    deployer_address: parameters.deployerAddress,
  };
  const reply = await client.request({ method: "POST", path: "/cvms", json: body });
  return parseReply(reply, (answer) => {
    const { id, name, status, app_id, vm_uuid } = vmSchema.parse(answer);
    return { id: String(id), name, status, appId: toAppId(app_id), vmUuid: vm_uuid ?? undefined };
  });
}

export const safeCreateCvm = safe(createCvm);
