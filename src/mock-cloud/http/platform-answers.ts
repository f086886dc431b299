import type { AvailableOsImages, KmsContract, KmsInfo, NodeCapacity, NodeRef } from "../../cloud/protocol.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import type { KmsContract as KmsContractRecord } from "../services/kms.ts";
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

/** `0.5.7` as [0, 5, 7]. Clients accept three or four numbers. A missing number counts as 0. */
export function versionNumbers(version: string): VersionNumbers {
  const [major = 0, minor = 0, patch = 0, build] = version
    .split(/[^0-9]+/)
    .filter((part) => part !== "")
    .map(Number);
  return build === undefined ? [major, minor, patch] : [major, minor, patch, build];
}

export function toKmsInfo(kms: Kms): KmsInfo {
  return {
    id: kms.id,
    slug: kms.slug,
    url: kms.url,
    version: kms.version,
    chain_id: kms.chainId,
    kms_contract_address: kms.contractAddress,
    gateway_app_id: kms.gatewayAppId,
  };
}

/** @param signingPublicKey public key of the root key that its nodes share; null while they are down */
export function toKmsContract({ id, nodes }: KmsContractRecord, signingPublicKey: Hex | null): KmsContract {
  const [{ slug, contractAddress, chainId }] = nodes;
  return {
    id,
    slug,
    label: null,
    contract_address: contractAddress ?? "phala",
    chain_id: chainId ?? 0,
    k256_pubkey: signingPublicKey === null ? null : withoutPrefix(signingPublicKey),
    ca_pubkey: null,
    node_count: nodes.length,
  };
}

type Entry = AvailableOsImages[number];

/** The images that a CVM can boot, newest first. Each entry pairs a production image with its development variant. */
export function toAvailableOsImages(images: readonly OsImage[], current: string): AvailableOsImages {
  const entries = new Map<string, Entry>();
  for (const { name, version, osImageHash, isDev } of images) {
    const family = name.replace("-dev", "");
    const entry = entries.get(family) ?? { version: readVersion(version), prod: null, dev: null };
    const variant = { name, os_image_hash: withoutPrefix(osImageHash), is_current: name === current };
    entries.set(family, isDev ? { ...entry, dev: variant } : { ...entry, prod: variant });
  }
  return [...entries.values()].sort((one, other) => compare(other.version, one.version));
}

/** Three or four numbers. A missing number counts as 0. */
function readVersion(version: string): Entry["version"] {
  const [major = 0, minor = 0, patch = 0, build] = (version.match(/\d+/g) ?? []).map(Number);
  return build === undefined ? [major, minor, patch] : [major, minor, patch, build];
}

function compare(one: Entry["version"], other: Entry["version"]): number {
  const at = [0, 1, 2, 3].find((index) => (one[index] ?? 0) !== (other[index] ?? 0));
  return at === undefined ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}

/** Address of Multicall3 on Base and most other chains. */
const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";

const names: Readonly<Record<number, string>> = { 1: "Ethereum", 8453: "Base", 31337: "Anvil" };

/** A chain in viem's format, for clients that take their chain definition from the answer. */
export function describeChain(id: number, rpcUrl: string | undefined) {
  return {
    id,
    name: names[id] ?? `Chain ${id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: rpcUrl === undefined ? [] : [rpcUrl] } },
    contracts: { multicall3: { address: multicall3 } },
  };
}
