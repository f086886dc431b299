import type { Address } from "viem";
import { z } from "zod";
import { parseAppCompose } from "../core/app-compose.ts";
import { hashAppComposeText } from "../core/compose-hash.ts";
import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseAppId,
  parseComposeHash,
  parseDeviceId,
  parseFixedHex,
} from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";

/** The CVMs of some apps as a cloud has them, with all that a mock cloud needs to take them over. */
export interface AdoptedCvms {
  /** The chain and the DstackKms of all these apps. */
  readonly chainId: number;
  readonly kms: Address;
  /** The machines of the CVMs, and the others that the cloud knows for these apps. */
  readonly nodes: readonly AdoptedNode[];
  readonly cvms: readonly AdoptedCvm[];
}

export interface AdoptedNode {
  readonly name: string;
  readonly deviceId: DeviceId;
}

export interface AdoptedCvm {
  /** `cvm_…`. */
  readonly id: string;
  readonly vmUuid: string | undefined;
  readonly instanceId: Hex | undefined;
  readonly name: string;
  readonly appId: AppId;
  readonly status: "running" | "stopped";
  /** Device of one of the nodes. */
  readonly deviceId: DeviceId;
  readonly osImage: AdoptedOsImage;
  readonly resource: AdoptedResource;
  /** The hash that it runs: the SHA-256 of `composeFile`. */
  readonly composeHash: ComposeHash;
  /** The exact text of its app-compose document. It names the environment variables, but has no values. */
  readonly composeFile: string;
}

/** A guest operating system, as a world's own images. */
export interface AdoptedOsImage {
  readonly name: string;
  readonly version: string;
  readonly hash: Hex;
  readonly isDev: boolean;
}

export interface AdoptedResource {
  readonly instanceType: string;
  readonly vcpu: number;
  readonly memoryMb: number;
  readonly diskGb: number;
}

const kind = "dstack-adopted-cvms";
const schemaVersion = 1;

const text = z.string().min(1).max(200);
const count = z.int().min(0);
const parsedBy = <Value>(parse: (raw: string) => Value) =>
  z.string().transform((raw, { addIssue }): Value => {
    try {
      return parse(raw);
    } catch (error) {
      if (!isDstackError(error)) throw error;
      addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
const fixedHex = (what: string, bytes: number) => parsedBy((raw) => parseFixedHex(what, raw, bytes));

const fileSchema = z.strictObject({
  kind: z.literal(kind),
  schemaVersion: z.literal(schemaVersion),
  chainId: z.int().min(1),
  kms: fixedHex("A KMS address", 20),
  nodes: z.array(z.strictObject({ name: text, deviceId: parsedBy(parseDeviceId) })),
  cvms: z.array(
    z.strictObject({
      id: z.string().regex(/^cvm_\w{1,64}$/, "must begin with cvm_"),
      vmUuid: z.uuid().optional(),
      instanceId: fixedHex("An instance id", 20).optional(),
      name: text,
      appId: parsedBy(parseAppId),
      status: z.enum(["running", "stopped"]),
      deviceId: parsedBy(parseDeviceId),
      osImage: z.strictObject({
        name: text,
        version: text,
        hash: fixedHex("An OS image hash", 32),
        isDev: z.boolean(),
      }),
      resource: z.strictObject({ instanceType: text, vcpu: count, memoryMb: count, diskGb: count }),
      composeHash: parsedBy(parseComposeHash),
      composeFile: z.string(),
    }),
  ),
});

/**
 * Parses a file that `formatAdoptedCvms` wrote, or a person.
 *
 * @throws InvalidArgumentError that names the path of the first problem
 *
 * @example
 * import { readFile } from "node:fs/promises";
 * import { parseAdoptedCvms } from "dstack-toolkit/world";
 * const { cvms } = parseAdoptedCvms(await readFile("cvms.json", "utf8"));
 */
export function parseAdoptedCvms(json: string): AdoptedCvms {
  const parsed = fileSchema.safeParse(parseJson(json));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = (issue?.path ?? []).join(".");
    const problem = (issue?.message ?? "").replace(/^Invalid input: /, "").replace(/\.$/, "");
    throw invalidAdoption(path === "" ? problem : `at ${path}: ${problem}`);
  }
  const { chainId, kms, nodes, cvms } = parsed.data;
  return requireAdoptable({
    ...{ chainId, kms, nodes },
    cvms: cvms.map(({ vmUuid, instanceId, ...cvm }) => ({ ...cvm, vmUuid, instanceId })),
  });
}

/**
 * Writes adopted CVMs as the text of a file. It has no secret, unless a compose file has one.
 *
 * @example
 * import { writeFile } from "node:fs/promises";
 * import { formatAdoptedCvms, readAdoptedCvms } from "dstack-toolkit/world";
 * import { appId, cloud } from "./app.js";
 * await writeFile("cvms.json", formatAdoptedCvms(await readAdoptedCvms(cloud, { appIds: [appId] })));
 */
export function formatAdoptedCvms({ chainId, kms, nodes, cvms }: AdoptedCvms): string {
  return `${JSON.stringify({ kind, schemaVersion, chainId, kms, nodes, cvms }, undefined, 2)}\n`;
}

/** @throws InvalidArgumentError if no cloud can have these CVMs */
export function requireAdoptable(adopted: AdoptedCvms): AdoptedCvms {
  const { nodes, cvms } = adopted;
  if (cvms.length === 0) throw invalidAdoption("there is no CVM");
  requireOnce(
    "two CVMs have the id",
    cvms.map(({ id }) => id),
  );
  requireOnce(
    "two CVMs have the vmUuid",
    cvms.flatMap(({ vmUuid }) => vmUuid?.toLowerCase() ?? []),
  );
  requireOnce(
    "two CVMs have the instance id",
    cvms.flatMap(({ instanceId }) => instanceId ?? []),
  );
  requireOnce(
    "two nodes have the name",
    nodes.map(({ name }) => name),
  );
  requireOnce(
    "two nodes have the device",
    nodes.map(({ deviceId }) => deviceId),
  );
  const images = new Map<string, Hex>();
  for (const { id, deviceId, osImage, composeHash, composeFile } of cvms) {
    if (nodes.every((node) => node.deviceId !== deviceId)) {
      throw invalidAdoption(`CVM ${id} runs on device ${deviceId}, which belongs to none of the nodes`);
    }
    const other = images.get(osImage.name) ?? osImage.hash;
    if (other !== osImage.hash) {
      throw invalidAdoption(`OS image ${osImage.name} has two hashes, ${other} and ${osImage.hash}`);
    }
    images.set(osImage.name, osImage.hash);
    const actual = hashAppComposeText(composeFile);
    if (actual !== composeHash) {
      throw invalidAdoption(`CVM ${id} runs ${composeHash}, but its document has the hash ${actual}`);
    }
    parseAppCompose(composeFile);
  }
  return adopted;
}

function requireOnce(what: string, values: readonly string[]): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw invalidAdoption(`${what} ${cleanText(twice, 100)}`);
}

function invalidAdoption(problem: string): InvalidArgumentError {
  return new InvalidArgumentError(`The adopted CVMs are not valid: ${problem}.`, {
    nextStep: "See docs/local-world.md for the format of the file.",
  });
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw invalidAdoption("it is no JSON");
  }
}
