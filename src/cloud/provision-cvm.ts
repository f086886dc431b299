import type { AppCompose } from "../core/app-compose.ts";
import { type AppId, type ComposeHash, type DeviceId, type Hex, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { type Kms, toAppId, toKms } from "./cvm.ts";
import { type ProvisionCvm, provisionCvmSchema } from "./protocol.ts";
import { parseReply, safe } from "./replies.ts";

export interface ProvisionCvmParameters {
  /** 5 to 63 characters: first a letter, then letters, digits and single hyphens. */
  readonly name: string;
  readonly appCompose: AppCompose;
  /** Where the policy is stored. `phala` stores it off chain. */
  readonly kmsType: "phala" | "base" | "ethereum";
  /** Address of the DstackKms contract, needed if several serve one chain. */
  readonly kmsContractAddress?: Hex | undefined;
  /** The machine to run on. If absent, the cloud chooses one. */
  readonly nodeId?: number | undefined;
  /** For example `tdx.small`. */
  readonly instanceType?: string | undefined;
  readonly osImage?: string | undefined;
  readonly environmentNames?: readonly string[] | undefined;
}

/** A reservation for a CVM. */
export interface ProvisionedCvm {
  readonly composeHash: ComposeHash;
  /** Off chain, the cloud assigns it. On chain it is absent: the caller deploys the app's contract. */
  readonly appId: AppId | undefined;
  /** Off chain only. x25519, hex without `0x`. */
  readonly encryptionPublicKey: string | undefined;
  readonly kms: Kms | undefined;
  /** Device on which the CVM will boot. Allow it when you deploy the app's contract. */
  readonly deviceId: DeviceId | undefined;
  readonly nodeId: number | undefined;
}

/**
 * Reserves resources for a new CVM and returns its compose hash. `createCvm` then creates the CVM.
 *
 * @throws CloudError
 *
 * @example
 * import { provisionCvm } from "dstack-toolkit/cloud";
 * import { cloud, document } from "./app.js";
 * const { composeHash, deviceId } = await provisionCvm(cloud, { name: "my-app", appCompose: document, kmsType: "base" });
 */
export async function provisionCvm(client: CloudClient, parameters: ProvisionCvmParameters): Promise<ProvisionedCvm> {
  const body = {
    name: parameters.name,
    compose_file: parameters.appCompose,
    kms: parameters.kmsType.toUpperCase(),
    kms_contract: parameters.kmsContractAddress,
    teepod_id: parameters.nodeId,
    instance_type: parameters.instanceType,
    image: parameters.osImage,
    env_keys: parameters.environmentNames,
  };
  const reply = await client.request({ method: "POST", path: "/cvms/provision", json: body });
  return parseReply(reply, (answer) => toProvisioned(provisionCvmSchema.parse(answer)));
}

function toProvisioned(wire: ProvisionCvm): ProvisionedCvm {
  return {
    composeHash: parseComposeHash(wire.compose_hash),
    appId: toAppId(wire.app_id),
    encryptionPublicKey: wire.app_env_encrypt_pubkey ?? undefined,
    kms: wire.kms_info ? toKms(wire.kms_info) : undefined,
    deviceId: wire.device_id ? parseDeviceId(wire.device_id) : undefined,
    nodeId: wire.node_id ?? wire.teepod_id ?? undefined,
  };
}

export const safeProvisionCvm = safe(provisionCvm);
