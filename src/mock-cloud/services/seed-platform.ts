import { createHash } from "node:crypto";
import { parseDeviceId, parseFixedHex } from "../../core/ids.ts";
import type { KmsSeed, MockCloudSeed, WorkspaceSeed } from "../options.ts";
import type { Kms } from "../store/platform.ts";
import type { Store } from "../store/store.ts";
import { hashApiKey } from "./api-keys.ts";
import type { KmsRuntime } from "./kms-runtime.ts";

/**
 * Stores what a seed describes, over what an earlier seed did. Ids follow from slugs, so they survive restarts.
 *
 * @throws InvalidHexError
 */
export function seedPlatform(store: Store, kmsRuntime: KmsRuntime, seed: MockCloudSeed, now: number): void {
  store.transaction(() => {
    for (const workspace of seed.workspaces ?? []) seedWorkspace(store, workspace, now);
    for (const kms of seed.kms ?? []) {
      const record = toKms(kms);
      store.platform.saveKms(record);
      kmsRuntime.connect(record.id, kms);
    }
    for (const node of seed.nodes ?? []) {
      store.platform.saveNode({
        id: node.id,
        name: node.name,
        region: node.region ?? "local",
        deviceId: parseDeviceId(node.deviceId),
        tcbStatus: node.tcbStatus ?? "UpToDate",
        advisoryIds: node.advisoryIds ?? [],
        capacity: node.capacity ?? { vcpu: 4096, memoryMb: 16 * 1024 * 1024, cvmSlots: 4096 },
      });
    }
    for (const image of seed.osImages ?? []) {
      store.platform.saveOsImage({
        name: image.name,
        version: image.version,
        osImageHash: parseFixedHex("An OS image hash", image.osImageHash, 32),
        isDev: image.isDev ?? false,
      });
    }
  });
}

function seedWorkspace(store: Store, seed: WorkspaceSeed, now: number): void {
  const slug = seed.slug ?? seed.name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const id = `ws_${shortHash(slug)}`;
  store.workspaces.save({ id, name: seed.name, slug }, now);
  for (const { key, username = "owner", email = "owner@example.com" } of seed.apiKeys) {
    store.workspaces.saveApiKey(hashApiKey(key), id, username, email);
  }
}

function toKms(seed: KmsSeed): Kms {
  const isOnChain = seed.chainId !== undefined;
  return {
    id: `kms_${shortHash(seed.slug)}`,
    slug: seed.slug,
    // Dev chains count as Base: clients know no word for them.
    type: !isOnChain ? "phala" : seed.chainId === 1 ? "ethereum" : "base",
    url: seed.url ?? `https://${seed.slug}.kms.invalid`,
    version: seed.version ?? "0.5.7",
    chainId: isOnChain ? seed.chainId : null,
    contractAddress: isOnChain ? parseFixedHex("A KMS contract address", seed.contractAddress, 20) : null,
    gatewayAppId: seed.gatewayAppId ?? null,
  };
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
