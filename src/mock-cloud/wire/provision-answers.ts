import type { ProvisionCvm } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { Provisioned } from "../services/provisioning.ts";
import { toKmsInfo } from "./kms-answers.ts";

export function toProvisionAnswer(
  { provision, kms, node, osImage }: Provisioned,
  kmsRuntime: KmsRuntime,
): ProvisionCvm {
  const { appId, composeHash, settings } = provision;
  return {
    compose_hash: withoutPrefix(composeHash),
    app_id: appId === null ? null : withoutPrefix(appId),
    app_env_encrypt_pubkey: appId === null ? null : withoutPrefix(kmsRuntime.appKey(kms.id, appId).publicKey),
    kms_info: toKmsInfo(kms),
    kms_id: kms.id,
    device_id: withoutPrefix(node.deviceId),
    os_image_hash: withoutPrefix(osImage.osImageHash),
    fmspc: null,
    instance_type: settings.instanceType,
    teepod_id: node.id,
    node_id: node.id,
  };
}
