import { createHash } from "node:crypto";
import type { CvmComposition, CvmNetwork, CvmStats, TcbInfo } from "../../cloud/protocol.ts";
import { type AppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { readComposeServices } from "../../core/docker-compose.ts";
import { type Hex, withoutPrefix } from "../../core/ids.ts";
import { InvalidAppComposeError } from "../../errors/index.ts";
import { toIsoTime } from "../clock.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import type { CvmView } from "./find.ts";

/** How long the guest has run (undefined while it does not run), and the current time. */
export interface GuestTime {
  readonly uptimeMs: number | undefined;
  readonly now: number;
}

const offline = "The CVM is not running.";
const notPublic = "The owner does not publish this.";

/** Made-up numbers that an idle guest of this size could show. Nothing measures them. */
export function describeStats({ cvm, osImage, running }: CvmView, { uptimeMs }: GuestTime): CvmStats {
  const isPublic = parseAppCompose(cvm.composeText).public_sysinfo === true;
  const isOnline = uptimeMs !== undefined;
  return {
    is_online: isOnline,
    is_public: isPublic,
    error: isOnline ? (isPublic ? null : notPublic) : offline,
    sysinfo: isOnline && isPublic ? describeSystem(cvm, osImage?.version ?? "unknown", uptimeMs) : null,
    status: cvm.status,
    in_progress: running !== undefined,
    boot_progress: isOnline ? "done" : null,
    boot_error: cvm.bootError,
  };
}

function describeSystem({ settings }: Cvm, version: string, uptimeMs: number): NonNullable<CvmStats["sysinfo"]> {
  const memory = settings.memoryMb * 1024 ** 2;
  const disk = settings.diskGb * 1024 ** 3;
  const used = Math.round(memory / 4);
  return {
    os_name: "dstack",
    os_version: version,
    kernel_version: "6.9.0-mock",
    cpu_model: "Mock CPU",
    num_cpus: settings.vcpu,
    total_memory: memory,
    available_memory: memory - used,
    used_memory: used,
    free_memory: memory - used,
    total_swap: 0,
    used_swap: 0,
    free_swap: 0,
    uptime: Math.floor(uptimeMs / 1000),
    loadavg_one: 0,
    loadavg_five: 0,
    loadavg_fifteen: 0,
    disks: [{ name: "/dev/vdb", mount_point: "/dstack", total_size: disk, free_size: Math.round(disk * 0.9) }],
  };
}

export function describeNetwork({ cvm }: CvmView, { uptimeMs, now }: GuestTime): CvmNetwork {
  const isOnline = uptimeMs !== undefined;
  return {
    is_online: isOnline,
    is_public: true,
    error: isOnline ? null : offline,
    internal_ip: isOnline ? `10.${(cvm.id >> 16) & 255}.${(cvm.id >> 8) & 255}.${cvm.id & 255}` : null,
    latest_handshake: isOnline ? toIsoTime(now) : null,
    // The mock cloud runs no gateway that could answer at such a URL.
    public_urls: isOnline ? [] : null,
  };
}

/**
 * Lists the services of the compose file as the containers they would be.
 *
 * @param logUrl of a container with this id
 */
export function describeComposition(
  { cvm }: CvmView,
  { uptimeMs, now }: GuestTime,
  logUrl: (container: string) => string,
): CvmComposition {
  const document = parseAppCompose(cvm.composeText);
  const isPublic = document.public_logs === true;
  const { manifest_version: version } = document;
  return {
    is_online: uptimeMs !== undefined,
    is_public: isPublic,
    error: uptimeMs === undefined ? offline : isPublic ? null : notPublic,
    docker_compose_file: document.docker_compose_file ?? null,
    manifest_version: version === null || version === undefined ? null : Number(version) || null,
    version: null,
    runner: document.runner ?? null,
    features: document.features ? [...document.features] : null,
    containers:
      uptimeMs === undefined || !isPublic
        ? null
        : listContainers(cvm).map(({ id, name, image, command }) => ({
            id,
            names: [`/${name}`],
            image,
            image_id: `sha256:${createHash("sha256").update(image).digest("hex")}`,
            command,
            created: Math.floor((now - uptimeMs) / 1000),
            state: "running",
            status: `Up ${formatUptime(uptimeMs)}`,
            log_endpoint: logUrl(id),
          })),
  };
}

export interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: string | null;
}

function listContainers({ instanceId, composeText }: Pick<Cvm, "instanceId" | "composeText">): Container[] {
  return listServices(parseAppCompose(composeText)).map(([name, { image, command }]) => ({
    id: createHash("sha256").update(`${instanceId} ${name}`).digest("hex"),
    name: `dstack-${name}-1`,
    image: typeof image === "string" ? image : `${name}:built`,
    command: typeof command === "string" ? command : null,
  }));
}

/** @param reference id or name */
export function findContainer(cvm: Pick<Cvm, "instanceId" | "composeText">, reference: string): Container | undefined {
  return listContainers(cvm).find(({ id, name }) => id === reference || name === reference);
}

/** The text was checked when it was stored, but an older and less strict version may have checked it. */
function listServices(document: AppCompose): [string, { readonly image?: unknown; readonly command?: unknown }][] {
  if (!document.docker_compose_file) return [];
  try {
    const services = Object.entries(readComposeServices(document.docker_compose_file));
    return services.map(([name, service]) => [name, Object(service)]);
  } catch (error) {
    if (error instanceof InvalidAppComposeError) return [];
    throw error;
  }
}

/** The event type that dstack uses for its own measurements. */
const dstackEventType = 0x08000001;

/**
 * The measurements that a guest of this CVM would attest. The image's registers are stand-ins, because no hardware
 * measured anything. The event log is real: replaying it gives `rtmr3`, as a verifier expects.
 */
export function measureGuest({ cvm, osImage }: CvmView): TcbInfo {
  const imageHash = osImage?.osImageHash ?? "0x";
  const events = [
    ["system-preparing", ""],
    ["app-id", withoutPrefix(cvm.appId)],
    ["compose-hash", withoutPrefix(cvm.composeHash)],
    ["instance-id", withoutPrefix(cvm.instanceId)],
    ["os-image-hash", withoutPrefix(imageHash)],
    ["system-ready", ""],
  ] as const;
  const event_log = events.map(([event, payload]) => ({
    imr: 3,
    event_type: dstackEventType,
    digest: digestEvent(event, payload),
    event,
    event_payload: payload,
  }));
  return {
    mrtd: standIn("mrtd", imageHash),
    rootfs_hash: withoutPrefix(imageHash),
    rtmr0: standIn("rtmr0", imageHash),
    rtmr1: standIn("rtmr1", imageHash),
    rtmr2: standIn("rtmr2", imageHash),
    rtmr3: event_log.reduce((register, { digest }) => extend(register, digest), "00".repeat(48)),
    event_log,
    app_compose: cvm.composeText,
  };
}

/** SHA-384 over type (little-endian), name and payload, joined by colons. */
function digestEvent(event: string, payload: string): string {
  const type = Buffer.alloc(4);
  type.writeUInt32LE(dstackEventType);
  return createHash("sha384").update(type).update(`:${event}:`).update(Buffer.from(payload, "hex")).digest("hex");
}

function extend(register: string, digest: string): string {
  return createHash("sha384")
    .update(Buffer.from(register + digest, "hex"))
    .digest("hex");
}

function standIn(name: string, imageHash: Hex): string {
  return createHash("sha384").update(`${name} ${imageHash}`).digest("hex");
}

/** Milliseconds since the CVM last booted. Undefined while it does not run. */
export function uptimeOf(store: Store, cvm: Cvm, now: number): number | undefined {
  if (cvm.status !== "running") return undefined;
  return Math.max(0, now - (store.operations.lastFinishedAt(cvm.id) ?? now));
}

/** A text such as `2d 3h 4m 5s`, without leading units that are zero. */
export function formatUptime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
  ] as const;
  const from = parts.findIndex(([count]) => count > 0);
  const shown = from < 0 ? [] : parts.slice(from).map(([count, unit]) => `${count}${unit}`);
  return [...shown, `${seconds % 60}s`].join(" ");
}
