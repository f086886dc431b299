import type { NodeCapacity, NodeRef } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import type { Kms, Node, OsImage, NodeCapacity as Room } from "../store/platform.ts";

export function toNodeRef(node: Node): NodeRef {
  return {
    object_type: "node",
    id: node.id,
    name: node.name,
    region: node.region,
    device_id: withoutPrefix(node.deviceId),
  };
}

export interface NodeView {
  readonly node: Node;
  readonly remaining: Room;
  readonly osImages: readonly OsImage[];
  readonly kms: readonly Kms[];
}

export function toNodeCapacity({ node, remaining, osImages, kms }: NodeView): NodeCapacity {
  return {
    teepod_id: node.id,
    name: node.name,
    listed: true,
    resource_score: node.capacity.cvmSlots > 0 ? remaining.cvmSlots / node.capacity.cvmSlots : 0,
    remaining_vcpu: remaining.vcpu,
    remaining_memory: remaining.memoryMb,
    remaining_cvm_slots: remaining.cvmSlots,
    images: osImages.map(({ name, isDev, version, osImageHash }) => ({
      name,
      is_dev: isDev,
      version: versionNumbers(version),
      os_image_hash: withoutPrefix(osImageHash),
    })),
    support_onchain_kms: kms.some(({ chainId }) => chainId !== null),
    fmspc: null,
    device_id: withoutPrefix(node.deviceId),
    region_identifier: node.region,
    default_kms: (kms.find(({ chainId }) => chainId === null) ?? kms[0])?.slug ?? null,
    kms_list: kms.map(({ slug }) => slug),
  };
}

type VersionNumbers = [number, number, number] | [number, number, number, number];

/** `0.5.7` as [0, 5, 7]; clients know three numbers or four. What is no number counts as 0. */
export function versionNumbers(version: string): VersionNumbers {
  const [major = 0, minor = 0, patch = 0, build] = version
    .split(/[^0-9]+/)
    .filter((part) => part !== "")
    .map(Number);
  return build === undefined ? [major, minor, patch] : [major, minor, patch, build];
}
