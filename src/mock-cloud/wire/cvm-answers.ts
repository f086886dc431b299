import type { ApiVersion, CvmDetail20251028, CvmDetail20260121, CvmState, Vm } from "../../cloud/protocol.ts";
import { type AppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { CvmView } from "../services/view-cvm.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Operation } from "../store/operations.ts";
import { toCvmId } from "./cvm-id.ts";
import { toKmsInfo } from "./kms-answers.ts";
import { toNodeRef } from "./node-answers.ts";

export function toCvmDetail20251028(view: CvmView): CvmDetail20251028 {
  const { cvm, kms, node, running } = view;
  const document = parseAppCompose(cvm.composeText);
  const isOnChain = kms.chainId !== null;
  return {
    id: cvm.id,
    name: cvm.name,
    status: cvm.status,
    in_progress: running !== undefined,
    teepod_id: node.id,
    teepod: { id: node.id, name: node.name, region_identifier: node.region },
    app_id: withoutPrefix(cvm.appId),
    vm_uuid: cvm.vmUuid,
    instance_id: withoutPrefix(cvm.instanceId),
    vcpu: cvm.settings.vcpu,
    memory: cvm.settings.memoryMb,
    disk_size: cvm.settings.diskGb,
    base_image: cvm.settings.osImage,
    encrypted_env_pubkey: bareHex(view.envPublicKey),
    kms_info: toKmsInfo(kms),
    contract_address: isOnChain ? cvm.appId : null,
    deployer_address: cvm.deployerAddress,
    instance_type: cvm.settings.instanceType,
    listed: cvm.settings.listed,
    ...flags(document, ["public_logs", "public_sysinfo"]),
    public_urls: [],
    updated_at: toIsoTime(cvm.updatedAt),
  };
}

export function toCvmDetail20260121(view: CvmView): CvmDetail20260121 {
  const { cvm, kms, node, osImage, running, workspace } = view;
  const document = parseAppCompose(cvm.composeText);
  const isOnChain = kms.chainId !== null;
  return {
    id: cvm.hashid,
    name: cvm.name,
    status: cvm.status,
    app_id: withoutPrefix(cvm.appId),
    vm_uuid: cvm.vmUuid,
    instance_id: withoutPrefix(cvm.instanceId),
    compose_hash: withoutPrefix(cvm.composeHash),
    compose_file: { ...document },
    in_progress: running !== undefined,
    progress: running
      ? { target: targetOf(running), started_at: toIsoTime(running.startedAt), correlation_id: running.correlationId }
      : null,
    resource: {
      instance_type: cvm.settings.instanceType,
      vcpu: cvm.settings.vcpu,
      memory_in_gb: cvm.settings.memoryMb / 1024,
      disk_in_gb: cvm.settings.diskGb,
      ...(cvm.settings.gpus && { gpus: cvm.settings.gpus.count }),
    },
    node_info: toNodeRef(node),
    os: {
      name: cvm.settings.osImage,
      version: osImage?.version ?? null,
      is_dev: osImage?.isDev ?? null,
      os_image_hash: osImage ? withoutPrefix(osImage.osImageHash) : null,
    },
    base_image: cvm.settings.osImage,
    kms_type: kms.type,
    kms_info: {
      chain_id: kms.chainId,
      dstack_kms_address: kms.contractAddress,
      dstack_app_address: isOnChain ? cvm.appId : null,
      deployer_address: cvm.deployerAddress,
      encrypted_env_pubkey: bareHex(view.envPublicKey),
    },
    gateway: {},
    endpoints: [],
    listed: cvm.settings.listed,
    ...flags(document, ["public_logs", "public_sysinfo", "public_tcbinfo", "gateway_enabled", "secure_time"]),
    ...(typeof document.storage_fs === "string" && { storage_fs: document.storage_fs }),
    workspace: { object_type: "workspace", id: workspace.id, name: workspace.name, slug: workspace.slug },
    created_at: toIsoTime(cvm.createdAt),
    updated_at: toIsoTime(cvm.updatedAt),
  };
}

export function toCvmState(cvm: Cvm): CvmState {
  return {
    name: cvm.name,
    status: cvm.status,
    instance_id: withoutPrefix(cvm.instanceId),
    ...(cvm.bootError !== null && { boot_error: cvm.bootError }),
  };
}

export function toVm({ cvm, kms, node, envPublicKey }: CvmView, version: ApiVersion): Vm {
  const document = parseAppCompose(cvm.composeText);
  return {
    id: toCvmId(cvm, version),
    name: cvm.name,
    status: cvm.status,
    teepod_id: node.id,
    teepod: { id: node.id, name: node.name },
    user_id: null,
    app_id: withoutPrefix(cvm.appId),
    vm_uuid: cvm.vmUuid,
    instance_id: withoutPrefix(cvm.instanceId),
    base_image: cvm.settings.osImage,
    docker_compose_file: document.docker_compose_file ?? null,
    vcpu: cvm.settings.vcpu,
    memory: cvm.settings.memoryMb,
    disk_size: cvm.settings.diskGb,
    created_at: toIsoTime(cvm.createdAt),
    encrypted_env_pubkey: bareHex(envPublicKey),
    app_auth_contract_address: kms.chainId === null ? null : cvm.appId,
    deployer_address: cvm.deployerAddress,
  };
}

/** The status a running operation leads to, if all goes well. */
function targetOf({ kind }: Operation): string {
  return kind === "stop" || kind === "shutdown" ? "stopped" : "running";
}

function bareHex(hex: Hex | null): string | null {
  return hex === null ? null : withoutPrefix(hex);
}

/** Clients accept a missing flag, not one that is null. */
function flags(document: AppCompose, names: readonly (keyof AppCompose & string)[]): Record<string, boolean> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = document[name];
      return typeof value === "boolean" ? [[name, value]] : [];
    }),
  );
}
