import { createHash } from "node:crypto";
import { errorCodes } from "../../cloud/protocol.ts";
import { type DeviceId, parseDeviceId, withoutPrefix } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";
import type { Cvm, CvmSettings } from "../store/cvms.ts";
import type { Node, NodeCapacity, OsImage, Platform } from "../store/platform.ts";
import type { Store } from "../store/store.ts";

export interface PlacementRequest {
  /** The only node that is acceptable. @default any */
  readonly nodeId: number | undefined;
  /** @default any */
  readonly region?: string | undefined;
  readonly vcpu: number;
  readonly memoryMb: number;
  /** Nodes to use only if no other node has room, such as nodes that already run the app. */
  readonly avoid?: readonly number[];
}

/** The nodes, their free capacity, and the placement of CVMs. Deterministic: the same calls choose the same nodes. */
export class Fleet {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Chooses the requested node, or the first node with room.
   *
   * @throws ApiError 400 when the node or region does not exist, or has no room
   */
  choose({ nodeId, region, avoid = [], ...size }: PlacementRequest): Node {
    const nodes = this.#store.platform.listNodes();
    if (nodeId !== undefined) {
      const node = nodes.find(({ id }) => id === nodeId);
      if (!node) throw nodeNotFound(nodeId);
      const shortage = findShortage(this.remaining(node), size);
      if (shortage) throw noRoom(shortage, `Node ${node.name} has no room`);
      return node;
    }
    const inRegion = nodes.filter((node) => region === undefined || node.region === region);
    if (inRegion.length === 0) {
      throw new ApiError(400, errorCodes.nodeNotFound, `There is no node${region ? ` in region ${region}` : ""}.`);
    }
    const withRoom = inRegion.filter((node) => !findShortage(this.remaining(node), size));
    const node = withRoom.find(({ id }) => !avoid.includes(id)) ?? withRoom[0];
    if (!node) throw noRoom("resourceNotAvailable", `No node${region ? ` in region ${region}` : ""} has room`);
    return node;
  }

  /** @throws ApiError 400 when the CVM's node has no room for the additional vCPUs or memory */
  requireRoomToGrow({ nodeId, settings }: Cvm, wanted: Pick<CvmSettings, "vcpu" | "memoryMb">): void {
    const more = { vcpu: wanted.vcpu - settings.vcpu, memoryMb: wanted.memoryMb - settings.memoryMb };
    if (more.vcpu <= 0 && more.memoryMb <= 0) return;
    const node = this.#store.platform.findNode(nodeId);
    if (!node) throw nodeNotFound(nodeId);
    const { vcpu, memoryMb } = this.remaining(node);
    if (more.vcpu > Math.max(0, vcpu)) throw noRoom("insufficientVcpu", `Node ${node.name} has no room`);
    if (more.memoryMb > Math.max(0, memoryMb)) throw noRoom("insufficientMemory", `Node ${node.name} has no room`);
  }

  remaining({ id, capacity }: Node): NodeCapacity {
    const used = this.#store.cvms.usage().find(({ nodeId }) => nodeId === id);
    return {
      vcpu: capacity.vcpu - (used?.vcpu ?? 0),
      memoryMb: capacity.memoryMb - (used?.memoryMb ?? 0),
      cvmSlots: capacity.cvmSlots - (used?.cvmSlots ?? 0),
    };
  }

  /**
   * Moves the CVM to this node at its next rollover. From now on the CVM's updates ask for this node's device. Naming
   * the CVM's current node cancels the move.
   *
   * @throws ApiError 400 when the node does not exist
   */
  move(cvm: Cvm, nodeId: number): void {
    if (!this.#store.platform.findNode(nodeId)) throw nodeNotFound(nodeId);
    this.#store.cvms.setNextNode(cvm.id, nodeId === cvm.nodeId ? null : nodeId);
  }

  /**
   * Gives the machine a new device id, as a new PPID would. Later boots on this machine present the new id.
   *
   * @throws ApiError 400 when the node does not exist
   */
  driftDevice(nodeId: number): DeviceId {
    const node = this.#store.platform.findNode(nodeId);
    if (!node) throw nodeNotFound(nodeId);
    const next = createHash("sha256")
      .update(`after ${withoutPrefix(node.deviceId)}`)
      .digest("hex");
    const deviceId = parseDeviceId(next);
    this.#store.platform.setDeviceId(nodeId, deviceId);
    return deviceId;
  }
}

type Shortage = "insufficientSlots" | "insufficientVcpu" | "insufficientMemory" | "resourceNotAvailable";

function findShortage(remaining: NodeCapacity, size: { vcpu: number; memoryMb: number }): Shortage | undefined {
  if (remaining.cvmSlots < 1) return "insufficientSlots";
  if (remaining.vcpu < size.vcpu) return "insufficientVcpu";
  return remaining.memoryMb < size.memoryMb ? "insufficientMemory" : undefined;
}

function noRoom(shortage: Shortage, who: string): ApiError {
  return new ApiError(400, errorCodes[shortage], `${who} for this CVM.`, {
    suggestions: ["Ask for less, name another node, or delete a CVM."],
  });
}

function nodeNotFound(nodeId: number): ApiError {
  return new ApiError(400, errorCodes.nodeNotFound, `There is no node ${nodeId}.`, {
    suggestions: ["GET /teepods/available lists the nodes."],
  });
}

export interface InstanceType {
  readonly name: string;
  readonly vcpu: number;
  readonly memoryMb: number;
  /** US dollars, as text. */
  readonly hourlyRate: string;
}

/** The mock cloud has CPU instance types only, no GPU types. */
export const instanceTypeFamily = "cpu";

/** Disk size of a CVM in gigabytes, if the request names none. */
export const defaultDiskGb = 40;

/** The smallest first. */
export const instanceTypes: readonly [InstanceType, ...InstanceType[]] = [
  { name: "tdx.small", vcpu: 1, memoryMb: 2048, hourlyRate: "0.058" },
  { name: "tdx.medium", vcpu: 2, memoryMb: 4096, hourlyRate: "0.116" },
  { name: "tdx.large", vcpu: 4, memoryMb: 8192, hourlyRate: "0.232" },
  { name: "tdx.xlarge", vcpu: 8, memoryMb: 16_384, hourlyRate: "0.464" },
];

type CvmSize = Pick<CvmSettings, "instanceType" | "vcpu" | "memoryMb">;

/**
 * Decides vCPUs, memory and instance type, so that the type always holds the other two. A named type sets what the
 * request does not. Without a named type, the CVM keeps its type if that holds the sizes, else it gets the smallest one
 * that does.
 *
 * @throws ApiError 400
 */
export function chooseSize(
  current: CvmSize,
  wanted: { readonly [Key in keyof CvmSize]?: CvmSize[Key] | undefined },
): CvmSize {
  const named = wanted.instanceType === undefined ? undefined : findInstanceType(wanted.instanceType);
  const { vcpu = (named ?? current).vcpu, memoryMb = (named ?? current).memoryMb } = wanted;
  const own = instanceTypes.find(({ name }) => name === current.instanceType);
  const candidates = named ? [named] : [...(own ? [own] : []), ...instanceTypes];
  const type = candidates.find((candidate) => vcpu <= candidate.vcpu && memoryMb <= candidate.memoryMb);
  if (type) return { instanceType: type.name, vcpu, memoryMb };
  const limit = named ?? instanceTypes.at(-1) ?? instanceTypes[0];
  throw new ApiError(
    400,
    errorCodes.incompatibleConfig,
    `Instance type ${limit.name} has at most ${limit.vcpu} vCPUs and ${limit.memoryMb} MB of memory, ` +
      `not ${vcpu} vCPUs and ${memoryMb} MB.`,
    { suggestions: ["GET /instance-types lists the instance types."] },
  );
}

/** A disk can grow, but not shrink. @throws ApiError 400 */
export function refuseSmallerDisk(name: string, current: CvmSettings, wanted: Pick<CvmSettings, "diskGb">): void {
  if (wanted.diskGb >= current.diskGb) return;
  throw new ApiError(
    400,
    errorCodes.invalidRequest,
    `The disk of CVM ${name} has ${current.diskGb} GB and cannot shrink to ${wanted.diskGb} GB.`,
    {
      details: [
        { field: "disk_size", value: wanted.diskGb },
        { field: "current_disk_size", value: current.diskGb },
      ],
      suggestions: ["Ask for the same size or a larger one."],
    },
  );
}

/** @throws ApiError 400 */
function findInstanceType(name: string): InstanceType {
  const type = instanceTypes.find((candidate) => candidate.name === name);
  if (type) return type;
  const known = instanceTypes.map((candidate) => candidate.name);
  throw new ApiError(400, errorCodes.instanceTypeNotFound, `There is no instance type ${name}.`, {
    details: [{ field: "instance_types", value: known }],
    suggestions: [`Use one of these: ${known.join(", ")}.`],
  });
}

/** @throws ApiError 400 that lists the images */
export function requireOsImage(platform: Platform, name: string): OsImage {
  const image = platform.findOsImage(name);
  if (image) return image;
  const known = platform.listOsImages().map((candidate) => candidate.name);
  throw new ApiError(400, errorCodes.imageNotFound, `There is no OS image ${name}. There are: ${known.join(", ")}.`, {
    details: [{ field: "os_images", value: known }],
    suggestions: ["Use one of these images."],
  });
}
