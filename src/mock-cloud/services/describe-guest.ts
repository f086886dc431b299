import { createHash } from "node:crypto";
import type { CvmComposition, CvmNetwork, CvmStats } from "../../cloud/protocol.ts";
import { type AppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { readComposeServices } from "../../core/docker-compose.ts";
import { InvalidAppComposeError } from "../../errors/index.ts";
import { toIsoTime } from "../clock.ts";
import type { Cvm } from "../store/cvms.ts";
import { formatUptime } from "./uptime.ts";
import type { CvmView } from "./view-cvm.ts";

/** What the clock says of a guest: how long it has run, or undefined while it does not, and the time now. */
export interface GuestTime {
  readonly uptimeMs: number | undefined;
  readonly now: number;
}

const offline = "The CVM is not running.";
const notPublic = "The owner does not publish this.";

/** Numbers an idle guest of this size could show; nothing was measured. */
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
    // No gateway runs here that would answer.
    public_urls: isOnline ? [] : null,
  };
}

/** The services of the compose file, as the containers they would be. */
export function describeComposition({ cvm }: CvmView, { uptimeMs, now }: GuestTime): CvmComposition {
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
    containers: uptimeMs !== undefined && isPublic ? describeContainers(cvm, document, uptimeMs, now) : null,
  };
}

function describeContainers(cvm: Cvm, document: AppCompose, uptimeMs: number, now: number) {
  return listServices(document).map(([name, service]) => {
    const image = typeof service.image === "string" ? service.image : `${name}:built`;
    return {
      id: createHash("sha256").update(`${cvm.instanceId} ${name}`).digest("hex"),
      names: [`/dstack-${name}-1`],
      image,
      image_id: `sha256:${createHash("sha256").update(image).digest("hex")}`,
      command: typeof service.command === "string" ? service.command : null,
      created: Math.floor((now - uptimeMs) / 1000),
      state: "running",
      status: `Up ${formatUptime(uptimeMs)}`,
      log_endpoint: null,
    };
  });
}

/** The text was checked when it came in, perhaps by an older version that let more through. */
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
