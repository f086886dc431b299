import type { z } from "zod";
import type { CloudClient } from "../cloud/create-client.ts";
import { type Cvm, parseCvm } from "../cloud/cvm.ts";
import { getAppRevision } from "../cloud/get-app-revision.ts";
import { getAppRevisions } from "../cloud/get-app-revisions.ts";
import { getComposeFile } from "../cloud/get-compose-file.ts";
import { safeGetKnownDevices } from "../cloud/get-known-devices.ts";
import { safeGetNodes } from "../cloud/get-nodes.ts";
import { type cvmInfo20260121Schema, cvmInfoListSchema } from "../cloud/protocol.ts";
import { apiPath, readJson } from "../cloud/replies.ts";
import { hashAppComposeText, writeAppCompose } from "../core/compose-hash.ts";
import { hashInEveryForm } from "../core/compose-hash-forms/forms.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  nameOfCvm,
  parseFixedHex,
  withoutPrefix,
} from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import { cleanText } from "../core/text.ts";
import { CloudResponseError, InvalidArgumentError } from "../errors/index.ts";
import {
  type AdoptedCvm,
  type AdoptedCvms,
  type AdoptedNode,
  type AdoptedOsImage,
  type AdoptedResource,
  requireAdoptable,
} from "./adopted-cvms.ts";

export interface ReadAdoptedCvmsParameters {
  readonly appIds: readonly AppId[];
  readonly signal?: AbortSignal | undefined;
}

/** The first version whose list of CVMs has hashes, devices and OS images. */
const apiVersion = "2026-01-21";
const requestsAtOnce = 4;

/**
 * Reads the CVMs of some apps from a cloud. The cloud's word is not enough for a document: its hash is computed here and
 * must be the one that the CVM runs. Values of environments are not read: only the CVM can decrypt them.
 *
 * @throws InvalidArgumentError if an app has no CVM, or one of them cannot be taken over; CloudError
 *
 * @example
 * import { readAdoptedCvms, startWorld } from "dstack-toolkit/world";
 * import { appId, cloud } from "./app.js";
 * const adopt = await readAdoptedCvms(cloud, { appIds: [appId] });
 * const world = await startWorld({ forkUrl: "https://mainnet.base.org", adopt });
 * await world.close();
 */
export async function readAdoptedCvms(
  cloud: CloudClient,
  { appIds, signal }: ReadAdoptedCvmsParameters,
): Promise<AdoptedCvms> {
  const listed = (
    await mapLimited(appIds, (appId) => listCvms(cloud, appId), { limit: requestsAtOnce, signal })
  ).flat();
  const cvms = await mapLimited(listed, (found) => adopt(cloud, found), { limit: requestsAtOnce, signal });
  const own = listed.map(({ nodeName, deviceId }) => ({ name: nodeName, deviceId }));
  const policies = new Map(listed.map(({ chainId, kms }) => [`${kms} on chain ${chainId}`, { chainId, kms }]));
  const [policy, ...others] = policies.values();
  if (policy === undefined || others.length > 0) {
    throw new InvalidArgumentError(`These apps do not have one KMS: ${[...policies.keys()].join(", ") || "no app"}.`, {
      nextStep: "Adopt the apps of one KMS at a time.",
    });
  }
  return requireAdoptable({ ...policy, nodes: nameOnce([...own, ...(await findOtherNodes(cloud, appIds))]), cvms });
}

interface FoundCvm {
  readonly cvm: Cvm;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly chainId: number;
  readonly kms: Hex;
  readonly deviceId: DeviceId;
  readonly nodeName: string;
  readonly osImage: AdoptedOsImage;
  readonly resource: AdoptedResource;
}

async function listCvms(cloud: CloudClient, appId: AppId): Promise<readonly FoundCvm[]> {
  const path = apiPath`/apps/${withoutPrefix(appId)}/cvms`;
  const found = await readJson(cloud, { path, apiVersion }, (body) =>
    cvmInfoListSchema.parse(body).map((wire) => ({ wire, cvm: parseCvm(wire, apiVersion) })),
  ).catch((error: unknown) => {
    if (error instanceof CloudResponseError && error.status === 404 && !error.answer.isUnknownPath) return [];
    throw error;
  });
  if (found.length === 0) {
    throw new InvalidArgumentError(`The workspace of the API key has no CVM of app ${appId}.`, {
      nextStep: "Check the app and the API key. Another workspace may have its CVMs.",
      context: { appId },
    });
  }
  return found.map(({ wire, cvm }) => toFoundCvm(appId, wire, cvm));
}

/** @throws InvalidArgumentError if the cloud does not tell all that a boot depends on */
function toFoundCvm(appId: AppId, wire: z.infer<typeof cvmInfo20260121Schema>, cvm: Cvm): FoundCvm {
  if (cvm.busy) {
    throw unadoptable(cvm, "is changing now", "Wait until its operation has ended.");
  }
  if (cvm.appId !== appId) throw unadoptable(cvm, `is of app ${cvm.appId}, not ${appId}, as the cloud tells`);
  const { composeHash, chainId, kmsContractAddress: kms, deviceId } = cvm;
  const osImageHash = wire.os?.os_image_hash;
  if (chainId === undefined || kms === undefined) {
    throw unadoptable(
      cvm,
      "has no contract: its KMS keeps its policy off chain",
      "Only apps on a chain can be adopted.",
    );
  }
  if (composeHash === undefined || deviceId === undefined || !osImageHash) {
    const missing = composeHash === undefined ? "compose hash" : deviceId === undefined ? "device" : "OS image hash";
    throw unadoptable(cvm, `has no ${missing} in the cloud's answer`, "Describe it in a file of adopted CVMs.");
  }
  const { instance_type, vcpu, memory_in_gb, disk_in_gb } = wire.resource;
  const name = cleanText(wire.os?.name ?? "", 80) || `os-${osImageHash.slice(0, 8)}`;
  return {
    ...{ cvm, appId, composeHash, chainId, kms, deviceId },
    nodeName: cleanText(wire.node_info?.name ?? "", 80),
    osImage: {
      ...{ name, version: cvm.osVersion ?? "unknown", isDev: wire.os?.is_dev ?? false },
      hash: parseFixedHex("An OS image hash", osImageHash, 32),
    },
    resource: {
      ...{ instanceType: cleanText(instance_type ?? "", 80) || "unknown", vcpu: vcpu ?? 1 },
      ...{ memoryMb: Math.round((memory_in_gb ?? 2) * 1024), diskGb: disk_in_gb ?? 40 },
    },
  };
}

async function adopt(
  cloud: CloudClient,
  { cvm, appId, composeHash, deviceId, osImage, resource }: FoundCvm,
): Promise<AdoptedCvm> {
  return {
    ...{ id: cvm.id, vmUuid: cvm.vmUuid, name: cvm.name, appId, deviceId, osImage, resource, composeHash },
    instanceId: cvm.instanceId === undefined ? undefined : parseFixedHex("An instance id", cvm.instanceId, 20),
    // A CVM that could not boot is not running either. Here a user can start it.
    status: cvm.status === "running" ? "running" : "stopped",
    composeFile: await findDocument(cloud, cvm, { appId, composeHash }),
  };
}

/**
 * Finds the text whose hash the CVM runs. The cloud answers the parsed document, so its text is written in every form
 * that an official tool hashes. If none fits, the cloud's revisions may have the exact text.
 */
async function findDocument(
  cloud: CloudClient,
  cvm: Cvm,
  { appId, composeHash }: { readonly appId: AppId; readonly composeHash: ComposeHash },
): Promise<string> {
  const document = await getComposeFile(cloud, { cvm: cvm.id });
  const canonical = writeAppCompose(document);
  const forms = [canonical, ...hashInEveryForm(JSON.stringify(document)).map(({ text }) => text)];
  const isRun = (text: string | undefined) => text !== undefined && hashAppComposeText(text) === composeHash;
  const found = forms.find(isRun);
  if (found !== undefined) return found;
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    const { revisions, pageCount } = await getAppRevisions(cloud, { appId, page });
    pages = pageCount;
    const revision = revisions.find((each) => each.composeHash === composeHash);
    if (revision === undefined) continue;
    const { documentText } = await getAppRevision(cloud, { appId, revisionId: revision.id });
    if (documentText !== undefined && isRun(documentText)) return documentText;
    break;
  }
  const actual = hashAppComposeText(canonical);
  throw unadoptable(
    cvm,
    `runs ${composeHash}, but the document that the cloud gives has the hash ${actual}`,
    "Put the exact bytes of its document into a file of adopted CVMs.",
    { composeHash, actual },
  );
}

/** Not an error if the cloud does not tell: a rehearsal then says that it does not know the other machines. */
async function findOtherNodes(cloud: CloudClient, appIds: readonly AppId[]): Promise<readonly AdoptedNode[]> {
  const [nodes, ...devices] = await Promise.all([
    safeGetNodes(cloud),
    ...appIds.map((appId) => safeGetKnownDevices(cloud, { appId })),
  ]);
  const named = nodes.success ? nodes.data : [];
  return devices.flatMap((known) =>
    (known.success ? known.data : []).map((deviceId) => ({
      name: named.find((node) => node.deviceId === deviceId)?.name ?? "",
      deviceId,
    })),
  );
}

/** One node for each device, with a name that no other node has. */
function nameOnce(nodes: readonly AdoptedNode[]): readonly AdoptedNode[] {
  const names = new Set<string>();
  const byDevice = new Map<DeviceId, AdoptedNode>();
  for (const { name, deviceId } of nodes) {
    if (byDevice.has(deviceId)) continue;
    const own = name === "" || names.has(name) ? `${name || "node"}-${deviceId.slice(2, 10)}` : name;
    names.add(own);
    byDevice.set(deviceId, { name: own, deviceId });
  }
  return [...byDevice.values()];
}

function unadoptable(
  cvm: Cvm,
  problem: string,
  nextStep?: string,
  context: Readonly<Record<string, unknown>> = {},
): InvalidArgumentError {
  return new InvalidArgumentError(`CVM ${nameOfCvm(cvm)} cannot be adopted: it ${problem}.`, {
    ...(nextStep !== undefined && { nextStep }),
    context: { cvm: cvm.id, ...context },
  });
}
