import type { CvmBasicInfo, CvmInfo20251028, CvmInfo20260121 } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import { formatUptime } from "../services/uptime.ts";
import type { CvmView } from "../services/view-cvm.ts";
import { toCvmDetail20260121 } from "./cvm-answers.ts";
import { toKmsInfo } from "./kms-answers.ts";

/** @param uptime milliseconds; undefined while the CVM is not running */
export function toCvmInfo20251028(view: CvmView, uptime: number | undefined): CvmInfo20251028 {
  const { cvm, kms, node, osImage, running } = view;
  return {
    hosted: {
      id: cvm.vmUuid,
      name: cvm.name,
      status: cvm.status,
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
    status: cvm.status,
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

export function toCvmBasicInfo({ cvm, kms, node }: CvmView): CvmBasicInfo {
  return {
    vm_uuid: cvm.vmUuid,
    app_id: withoutPrefix(cvm.appId),
    name: cvm.name,
    status: cvm.status,
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
