import {
  type ApiVersion,
  type CvmBasicInfo,
  type CvmDetail20251028,
  type CvmDetail20260121,
  type CvmInfo20251028,
  type CvmInfo20260121,
  type CvmState,
  isAtLeast,
  type Vm,
} from "../../cloud/protocol.ts";
import { type AppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { CvmView } from "../services/find.ts";
import { formatUptime } from "../services/guest.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Operation } from "../store/operations.ts";
import type { Links } from "./links.ts";
import { toKmsInfo, toNodeRef } from "./platform-answers.ts";

export function toCvmDetail20251028(view: CvmView, links: Links): CvmDetail20251028 {
  const { cvm, kms, node, running } = view;
  const document = parseAppCompose(cvm.composeText);
  const isOnChain = kms.chainId !== null;
  return {
    id: cvm.id,
    name: cvm.name,
    status: statusOf(cvm, running),
    in_progress: running !== undefined,
    ...describeFinality(running),
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
    // Clients append further parameters to this URL with `&`.
    syslog_endpoint: document.public_logs ? `${links.logs(cvm)}?kind=guest` : null,
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
    status: statusOf(cvm, running),
    app_id: withoutPrefix(cvm.appId),
    vm_uuid: cvm.vmUuid,
    instance_id: withoutPrefix(cvm.instanceId),
    compose_hash: withoutPrefix(cvm.composeHash),
    compose_file: { ...document },
    in_progress: running !== undefined,
    ...describeFinality(running),
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

export function toCvmState(cvm: Cvm, running: Operation | undefined): CvmState {
  return {
    name: cvm.name,
    status: statusOf(cvm, running),
    ...describeFinality(running),
    instance_id: withoutPrefix(cvm.instanceId),
    ...(cvm.bootError !== null && { boot_error: cvm.bootError }),
  };
}

export function toVm({ cvm, kms, node, envPublicKey, running }: CvmView, version: ApiVersion): Vm {
  const document = parseAppCompose(cvm.composeText);
  return {
    id: toCvmId(cvm, version),
    name: cvm.name,
    status: statusOf(cvm, running),
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

/**
 * The status that clients see. While an update waits for finality the guest runs, but clients must not take the update
 * for done, so the status is another one. It is ours, not the vendor's.
 */
export function statusOf({ status }: Pick<Cvm, "status">, running: Operation | undefined): string {
  return running?.awaitedTag ? "awaiting_finality" : status;
}

function describeFinality(running: Operation | undefined) {
  if (!running?.awaitedTag) return {};
  const { awaitedTag, composeHash, transactionHash, startedAt } = running;
  return {
    finality: {
      awaited_tag: awaitedTag,
      compose_hash: withoutPrefix(composeHash),
      transaction_hash: transactionHash,
      since: toIsoTime(startedAt),
    },
  };
}

/** The status that a running operation leads to if it succeeds. */
function targetOf({ kind }: Operation): string {
  return kind === "stop" || kind === "shutdown" ? "stopped" : "running";
}

function bareHex(hex: Hex | null): string | null {
  return hex === null ? null : withoutPrefix(hex);
}

/** Only flags with a boolean value, because clients accept a missing flag but not null. */
function flags(document: AppCompose, names: readonly (keyof AppCompose & string)[]): Record<string, boolean> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = document[name];
      return typeof value === "boolean" ? [[name, value]] : [];
    }),
  );
}

/** @param uptime milliseconds; undefined while the CVM is not running */
export function toCvmInfo20251028(view: CvmView, uptime: number | undefined): CvmInfo20251028 {
  const { cvm, kms, node, osImage, running } = view;
  return {
    hosted: {
      id: cvm.vmUuid,
      name: cvm.name,
      status: statusOf(cvm, running),
      uptime: formatUptime(uptime ?? 0),
      app_url: null,
      app_id: withoutPrefix(cvm.appId),
      instance_id: withoutPrefix(cvm.instanceId),
      exited_at: null,
      boot_progress: null,
      boot_error: cvm.bootError,
      shutdown_progress: null,
      image_version: osImage?.version ?? null,
    },
    name: cvm.name,
    managed_user: null,
    node: { id: node.id, name: node.name, region_identifier: node.region },
    listed: cvm.settings.listed,
    status: statusOf(cvm, running),
    in_progress: running !== undefined,
    dapp_dashboard_url: null,
    syslog_endpoint: null,
    allow_upgrade: false,
    project_id: null,
    project_type: null,
    billing_period: null,
    kms_info: toKmsInfo(kms),
    vcpu: cvm.settings.vcpu,
    memory: cvm.settings.memoryMb,
    disk_size: cvm.settings.diskGb,
    gateway_domain: null,
    public_urls: [],
    updated_at: toIsoTime(cvm.updatedAt),
  };
}

export function toCvmInfo20260121(view: CvmView): CvmInfo20260121 {
  const { compose_file: _, ...info } = toCvmDetail20260121(view);
  return info;
}

export function toCvmBasicInfo({ cvm, kms, node, running }: CvmView): CvmBasicInfo {
  return {
    vm_uuid: cvm.vmUuid,
    app_id: withoutPrefix(cvm.appId),
    name: cvm.name,
    status: statusOf(cvm, running),
    vcpu: cvm.settings.vcpu,
    memory: cvm.settings.memoryMb,
    disk_size: cvm.settings.diskGb,
    teepod_id: node.id,
    teepod_name: node.name,
    region_identifier: node.region,
    kms_type: kms.type,
    kms_slug: kms.slug,
    kms_id: kms.id,
    instance_type: cvm.settings.instanceType,
    instance_id: withoutPrefix(cvm.instanceId),
    listed: cvm.settings.listed,
    base_image: cvm.settings.osImage,
    updated_at: toIsoTime(cvm.updatedAt),
  };
}

/** Actions and lists name a CVM by its number, and from API version 2026-05-22 on by its hashid. */
export function toCvmId({ id, hashid }: Pick<Cvm, "id" | "hashid">, version: ApiVersion): number | string {
  return isAtLeast(version, "2026-05-22") ? hashid : id;
}
