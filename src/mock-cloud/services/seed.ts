import { createHash, randomUUID } from "node:crypto";
import { parseAppCompose } from "../../core/app-compose.ts";
import { hashAppComposeText } from "../../core/compose-hash.ts";
import { type ComposeHash, parseAppId, parseComposeHash, parseDeviceId, parseFixedHex } from "../../core/ids.ts";
import { cleanText } from "../../core/text.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { CvmSeed, KmsSeed, MockCloudSeed, WorkspaceSeed } from "../options.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Kms } from "../store/platform.ts";
import type { Store } from "../store/store.ts";
import { hashApiKey } from "./account.ts";
import { parseCvmIdentifier } from "./find.ts";
import { defaultDiskGb, instanceTypes } from "./fleet.ts";
import type { KmsRuntime } from "./kms.ts";
import { newCvmIds } from "./provisioning.ts";

/**
 * Stores the objects that a seed describes. Objects of an earlier seed with the same ids are updated. Ids are derived
 * from slugs, so they survive restarts.
 *
 * @throws InvalidHexError, InvalidArgumentError, InvalidAppComposeError
 */
export function seedStore(store: Store, kmsRuntime: KmsRuntime, seed: MockCloudSeed, now: number): void {
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
    for (const cvm of seed.cvms ?? []) seedCvm(store, cvm, now);
  });
}

/** Its revisions begin with the document that it runs. */
function seedCvm(store: Store, seed: CvmSeed, now: number): void {
  if (store.cvms.findHashidEver(seed.id) !== undefined) return;
  const { hashid, vmUuid, instanceId } = parseIds(store, seed);
  const workspace = store.workspaces.firstPrincipal()?.workspace;
  if (workspace === undefined) throw invalidCvm(seed, "needs a workspace with an API key");
  const kms = store.platform.listKms().find(({ slug }) => slug === seed.kms);
  if (kms === undefined) throw invalidCvm(seed, `names KMS ${seed.kms}, which is not in the seed`);
  const node = store.platform.listNodes().find(({ name }) => name === seed.node);
  if (node === undefined) throw invalidCvm(seed, `names node ${seed.node}, which is not in the seed`);
  if (store.platform.findOsImage(seed.osImage) === undefined) {
    throw invalidCvm(seed, `names OS image ${seed.osImage}, which is not in the seed`);
  }
  parseAppCompose(seed.composeFile);
  const [smallest] = instanceTypes;
  const { instanceType, vcpu, memoryMb, diskGb } = seed.resource ?? {
    ...smallest,
    instanceType: smallest.name,
    diskGb: defaultDiskGb,
  };
  const cvm = store.cvms.insert({
    ...{ hashid, vmUuid, instanceId, workspaceId: workspace.id, name: seed.name },
    ...{ appId: parseAppId(seed.appId), kmsId: kms.id, nodeId: node.id, nextNodeId: null, appNonce: null },
    ...{ status: seed.status ?? "running", bootError: null },
    ...{ composeText: seed.composeFile, composeHash: parseRunningHash(seed), encryptedEnv: null },
    settings: {
      ...{ instanceType, vcpu, memoryMb, diskGb, osImage: seed.osImage, listed: false },
      ...{ userConfig: null, shutdownTimeout: null, allowForceStop: null, gpus: null },
    },
    deployerAddress:
      seed.deployerAddress === undefined ? null : parseFixedHex("A deployer address", seed.deployerAddress, 20),
    ...{ createdAt: now, updatedAt: now },
  });
  const operation = store.operations.insert({
    ...{ correlationId: randomUUID(), cvmId: cvm.id, kind: "create", nodeId: node.id },
    ...{ composeText: cvm.composeText, composeHash: cvm.composeHash, encryptedEnv: null, settings: cvm.settings },
    ...{ transactionHash: null, awaitedTag: null, startedAt: now, delayMs: 0 },
  });
  store.operations.finish(operation.id, null, now);
}

function parseIds(store: Store, seed: CvmSeed): Pick<Cvm, "hashid" | "vmUuid" | "instanceId"> {
  const fresh = newCvmIds();
  if (parseCvmIdentifier(seed.id).kind !== "hashid") throw invalidCvm(seed, "needs an id that begins with cvm_");
  const uuid = seed.vmUuid === undefined ? undefined : parseCvmIdentifier(seed.vmUuid);
  if (uuid !== undefined && uuid.kind !== "uuid") throw invalidCvm(seed, `has ${seed.vmUuid} as vmUuid, not a UUID`);
  const vmUuid = uuid?.uuid ?? fresh.vmUuid;
  const other = store.cvms.findUuid(vmUuid);
  if (other !== undefined) throw invalidCvm(seed, `has the same vmUuid as ${other.hashid}`);
  const instanceId =
    seed.instanceId === undefined ? fresh.instanceId : parseFixedHex("An instance id", seed.instanceId, 20);
  return { hashid: seed.id, vmUuid, instanceId };
}

/** A CVM measures its document, so the hash that it runs and its document cannot differ. */
function parseRunningHash(seed: CvmSeed): ComposeHash {
  const running = parseComposeHash(seed.composeHash);
  const actual = hashAppComposeText(seed.composeFile);
  if (actual === running) return running;
  throw invalidCvm(seed, `runs ${running}, but its document has the hash ${actual}`);
}

function invalidCvm({ id }: CvmSeed, problem: string): InvalidArgumentError {
  return new InvalidArgumentError(`CVM ${cleanText(id, 80)} of the seed ${problem}.`, { context: { id } });
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
    // Dev chains count as Base, because clients have no KMS type for them.
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
