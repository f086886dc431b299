import type { AppCompose } from "../core/app-compose.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { type Kms, toAppId, toKms } from "./cvm.ts";
import { type ProvisionComposeFile, provisionComposeFileSchema } from "./protocol.ts";
import { apiPath, parseReply, safe } from "./replies.ts";

export interface ProvisionComposeFileParameters {
  readonly cvm: string;
  readonly appCompose: AppCompose;
  /** Whether the commit will contain a new environment. */
  readonly updateEnvironment?: boolean | undefined;
}

export interface ProvisionedComposeFile {
  readonly composeHash: ComposeHash;
  readonly appId: AppId | undefined;
  readonly deviceId: DeviceId | undefined;
  readonly kms: Kms | undefined;
  /** Whether the contract already allows the hash, if the cloud reports it. */
  readonly isRegistered: boolean | undefined;
}

/**
 * Sends a whole new document and returns its hash. `commitComposeFile` makes it the current document.
 *
 * @throws CloudError
 *
 * @example
 * import { provisionComposeFile } from "dstack-toolkit/cloud";
 * import { cloud, document } from "./app.js";
 * const { composeHash } = await provisionComposeFile(cloud, { cvm: "my-app", appCompose: document });
 */
export async function provisionComposeFile(
  client: CloudClient,
  { cvm, appCompose, updateEnvironment }: ProvisionComposeFileParameters,
): Promise<ProvisionedComposeFile> {
  const reply = await client.request({
    method: "POST",
    path: apiPath`/cvms/${cvm}/compose_file/provision`,
    json: { ...appCompose, update_env_vars: updateEnvironment },
  });
  return parseReply(reply, (body) => toProvisioned(provisionComposeFileSchema.parse(body)));
}

function toProvisioned(wire: ProvisionComposeFile): ProvisionedComposeFile {
  return {
    composeHash: parseComposeHash(wire.compose_hash),
    appId: toAppId(wire.app_id),
    deviceId: wire.device_id ? parseDeviceId(wire.device_id) : undefined,
    kms: wire.kms_info ? toKms(wire.kms_info) : undefined,
    isRegistered: wire.compose_hash_registered,
  };
}

export const safeProvisionComposeFile = safe(provisionComposeFile);
