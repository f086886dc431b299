import type { AppAttestation, Attestation } from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { withoutPrefix } from "../../core/ids.ts";
import type { CvmView } from "../services/find.ts";
import { measureGuest } from "../services/guest.ts";
import type { AppView } from "./app-answers.ts";

const offline = "The CVM is not running.";

export function toAttestation(view: CvmView): Attestation {
  const { name, composeText } = view.cvm;
  const is_public = parseAppCompose(composeText).public_tcbinfo === true;
  return { name, is_online: view.cvm.status === "running", is_public, ...attestGuest(view) };
}

export function toAppAttestation(views: AppView): AppAttestation {
  const [{ cvm, kms }] = views;
  return {
    app_id: withoutPrefix(cvm.appId),
    contract_address: kms.chainId === null ? "" : cvm.appId,
    kms_info: {
      contract_address: kms.contractAddress ?? "",
      chain_id: kms.chainId === null ? null : String(kms.chainId),
      version: kms.version,
      url: kms.url,
      gateway_app_id: kms.gatewayAppId,
      gateway_app_url: "",
      kms_type: kms.type,
    },
    instances: views.map((view) => ({
      vm_uuid: view.cvm.vmUuid,
      name: view.cvm.name,
      instance_id: withoutPrefix(view.cvm.instanceId),
      status: view.cvm.status,
      image_version: view.cvm.settings.osImage,
      // Null, because only hardware could sign a quote.
      quote: null,
      device_id: withoutPrefix(view.node.deviceId),
      ...attestGuest(view),
    })),
    kms_guest_agent_info: null,
    gateway_guest_agent_info: null,
    qemu_version: null,
  };
}

/** While the guest does not run, the answer contains only the reason. */
function attestGuest(view: CvmView) {
  if (view.cvm.status !== "running") {
    return { error: offline, app_certificates: null, tcb_info: null, compose_file: null };
  }
  const { docker_compose_file } = parseAppCompose(view.cvm.composeText);
  return {
    error: null,
    app_certificates: [],
    tcb_info: measureGuest(view),
    compose_file: docker_compose_file ?? null,
  };
}
