import { entriesOf, fieldOf } from "../docker-compose.ts";
import { byPlace, isUnknown } from "./interpolation.ts";
import type { FileProblem, Workload } from "./references.ts";
import {
  bytesOf,
  commandProblem,
  fieldAt,
  isDuration,
  isIpAddress,
  itemsOf,
  namesOf,
  parseVolume,
  portProblem,
  textOf,
} from "./values.ts";

/** Returns the end of a sentence that begins with the path. Undefined if Docker Compose accepts the value. */
type Check = (value: unknown) => string | undefined;

const duration: Check = (value) => (isDuration(value) ? undefined : "must be a duration, such as 1m30s");
const bytes: Check = (value) => (bytesOf(value) === undefined ? "must be a size, such as 512m" : undefined);
const decimal: Check = (value) =>
  typeof value === "number" || /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(String(value))
    ? undefined
    : "must be a number";
const integer: Check = (value) => (/^[+-]?\d+$/.test(String(value)) ? undefined : "must be a whole number");
const number: Check = (value) => (typeof value === "number" ? undefined : "must be a number, not text");
const natural: Check = (value) => (Number(value) < 0 ? "must be 0 or more" : undefined);
const group: Check = (value) =>
  Number.isInteger(value) || typeof value === "string" ? undefined : "must be a whole number";
const whole: Check = (value) => (typeof value === "number" ? undefined : integer(value));
const option: Check = (value) =>
  typeof value === "string" || Number.isSafeInteger(value) ? undefined : "must be text or a whole number";
const exposed: Check = (value) =>
  typeof value !== "number" || Number.isSafeInteger(value) ? undefined : "must be a port";
const ulimits: Check = (value) => {
  const isLimit = (limit: unknown) =>
    Number.isInteger(limit) || typeof limit === "string" || entriesOf(limit).length > 0;
  const isGood = entriesOf(value).every(([, limit]) => isLimit(limit) && !Array.isArray(limit));
  return isGood ? undefined : "must have a whole number, or soft and hard, for every limit";
};
const ulimit: Check = (value) => (typeof value === "string" ? "must be a number, not text" : undefined);
const count: Check = (value) => (/^(?:all|[+-]?\d+)$/i.test(String(value)) ? undefined : "must be a number or all");
const mode: Check = (value) =>
  Number.isSafeInteger(value) || /^[+-]?[0-7]+$/.test(String(value)) ? undefined : "must be a file mode, such as 0440";
const command: Check = (value) => (typeof value === "string" ? commandProblem(value) : undefined);
const firstBad =
  (isGood: (item: string) => boolean, message: (item: string) => string): Check =>
  (value) => {
    const bad =
      Array.isArray(value) && value.find((item) => typeof item === "string" && !isUnknown(item) && !isGood(item));
    return typeof bad === "string" ? message(bad) : undefined;
  };
const variables = firstBad(
  (item) => !/\s$/.test(item.replace(/=.*/s, "")),
  (item) => `has a space at the end of the name ${item.replace(/=.*/s, "").trim()}`,
);
const contextList = firstBad(
  (item) => item.includes("="),
  (item) => `must have ${item} as name=context`,
);
const contexts: Check = (value) =>
  Array.isArray(value) || entriesOf(value).every(([, context]) => typeof context === "string")
    ? contextList(value)
    : "must have a text for every context";
const keys = firstBad(
  (item) => item === "default" || item.includes("="),
  (item) => `must have ${item} as id=path`,
);
const isHost = (name: string) => name !== "" && !/[:=]/.test(name);
const hosts: Check = (value) => {
  const names = Array.isArray(value)
    ? value.filter((item) => !isUnknown(item)).map((item) => /^([^=]*)=|^([^=:]*):/.exec(String(item)))
    : entriesOf(value).map(([name]) => ["", name]);
  const isGood = names.every((match) => match !== null && isHost(match[1] ?? match[2] ?? ""));
  return isGood ? undefined : "must have every host as name=address";
};
const port: Check = (value) => {
  if (typeof value === "string" || typeof value === "number") return portProblem(String(value));
  const address = textOf(fieldOf(value, "host_ip"));
  if (fieldOf(value, "target") === undefined) return "has no target";
  if (Number(fieldOf(value, "target")) < 0) return "has a target below 0";
  return address === undefined || isUnknown(address) || isIpAddress(address) ? undefined : "has no valid host_ip";
};
const volume: Check = (value) => {
  const { target, problem } = parseVolume(value);
  if (problem !== undefined || typeof value === "string") return problem;
  if (target === undefined) return "has no target";
  return fieldOf(value, "type") === "bind" && !fieldOf(value, "source") ? "has no source" : undefined;
};
const mountedFile: Check = (value) =>
  typeof value === "string" || fieldOf(value, "source") ? undefined : "has no source";
const device: Check = (value) => {
  if (typeof value !== "string") return textOf(fieldOf(value, "target")) === undefined ? "has no target" : undefined;
  return value.split(":").length > 3 ? "has too many colons" : undefined;
};
const deviceRequest: Check = (value) =>
  fieldOf(value, "count") !== undefined && fieldOf(value, "device_ids") !== undefined
    ? "must have either count or device_ids, not both"
    : undefined;
const test: Check = (value) => {
  const [first = "NONE"] = Array.isArray(value) ? value : [];
  return isUnknown(first) || ["CMD", "CMD-SHELL", "NONE"].includes(String(first))
    ? undefined
    : "must begin with CMD, CMD-SHELL or NONE";
};
const watch: Check = (value) => {
  if (fieldOf(value, "path") === "") return "has an empty path";
  const needsTarget = !["rebuild", "restart"].includes(textOf(fieldOf(value, "action")) ?? "");
  return needsTarget && !fieldOf(value, "target") ? "has no target" : undefined;
};
/** Checks of single settings of a container, by their place. */
const checkAt = byPlace<Check>({
  ...Object.fromEntries(
    [
      ...["stop_grace_period", "healthcheck.interval", "healthcheck.timeout", "healthcheck.start_period"],
      ...["healthcheck.start_interval", "deploy.restart_policy.delay", "deploy.restart_policy.window"],
      ...["deploy.update_config.delay", "deploy.update_config.monitor"],
      ...["deploy.rollback_config.delay", "deploy.rollback_config.monitor"],
    ].map((place) => [place, duration]),
  ),
  ...Object.fromEntries(
    [
      ...["mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "shm_size", "build.shm_size"],
      ...["deploy.resources.limits.memory", "deploy.resources.reservations.memory", "volumes.*.tmpfs.size"],
      ...["blkio_config.device_read_bps.*.rate", "blkio_config.device_write_bps.*.rate"],
      ...["blkio_config.device_read_iops.*.rate", "blkio_config.device_write_iops.*.rate"],
    ].map((place) => [place, bytes]),
  ),
  "deploy.resources.limits.cpus": decimal,
  "deploy.resources.reservations.cpus": decimal,
  "deploy.resources.limits.pids": integer,
  "secrets.*": mountedFile,
  "configs.*": mountedFile,
  "build.secrets.*": mountedFile,
  "secrets.*.mode": mode,
  "configs.*.mode": mode,
  "volumes.*.tmpfs.mode": number,
  "blkio_config.weight": number,
  "blkio_config.weight_device.*.weight": number,
  "group_add.*": group,
  "storage_opt.*": option,
  "expose.*": exposed,
  ulimits,
  "deploy.resources.reservations.generic_resources.*.discrete_resource_spec.value": whole,
  "build.ulimits.*": ulimit,
  "healthcheck.retries": natural,
  "deploy.restart_policy.max_attempts": natural,
  "deploy.update_config.parallelism": natural,
  "deploy.rollback_config.parallelism": natural,
  "deploy.placement.max_replicas_per_node": natural,
  command,
  entrypoint: command,
  "post_start.*.command": command,
  "pre_stop.*.command": command,
  environment: variables,
  "build.args": variables,
  "post_start.*.environment": variables,
  "pre_stop.*.environment": variables,
  "build.additional_contexts": contexts,
  "build.ssh": keys,
  "build.extra_hosts": hosts,
  extra_hosts: hosts,
  "ports.*": port,
  "volumes.*": volume,
  "devices.*": device,
  "gpus.*": deviceRequest,
  "gpus.*.count": count,
  "deploy.resources.reservations.devices.*": deviceRequest,
  "deploy.resources.reservations.devices.*.count": count,
  "healthcheck.test": test,
  "develop.watch.*": watch,
});

const isExternal = (value: unknown) => {
  const external = fieldOf(value, "external");
  return external === true || entriesOf(external).length > 0;
};
const external: Check = (value) => {
  const [name, other] = [fieldOf(value, "name"), fieldOf(fieldOf(value, "external"), "name")];
  const conflicts = name !== undefined && other !== undefined && name !== other;
  return conflicts ? "has two different names, in name and in external.name" : undefined;
};
const source =
  (...names: readonly string[]): Check =>
  (value) => {
    const given = names.filter((name) => fieldOf(value, name) !== undefined);
    if (given.length > 1) return `must have only one of ${given.join(" and ")}`;
    const isElsewhere = fieldOf(value, "external") !== undefined || fieldOf(value, "driver") !== undefined;
    return given.length === 0 && !isElsewhere ? `must have one of ${names.join(", ")}` : external(value);
  };
const secret: Check = (value) =>
  source("file", "environment")(value) ??
  (isExternal(value) || fieldOf(value, "file") || fieldOf(value, "environment")
    ? undefined
    : "must have file or environment");
const namedVolume: Check = (value) => {
  const extra = entriesOf(value).find(([key]) => !["name", "external"].includes(key) && !key.startsWith("x-"));
  return isExternal(value) && extra !== undefined ? `is external, so it must not have ${extra[0]}` : external(value);
};

const ofResources: Readonly<Record<string, Check>> = {
  volumes: namedVolume,
  secrets: secret,
  configs: source("file", "environment", "content"),
  networks: external,
};

/** Finds single settings that the schema accepts and Docker Compose does not. The file must satisfy the schema. */
export function findValueProblems(file: unknown): readonly FileProblem[] {
  const problems: FileProblem[] = [];
  const visit = (value: unknown, path: readonly string[], place: readonly string[]): void => {
    if (isUnknown(value)) return;
    const message = value === null ? undefined : checkAt(place)?.(value);
    if (message !== undefined) problems.push({ path, message });
    const items = Array.isArray(value) ? value.map((item, index) => [String(index), item] as const) : entriesOf(value);
    // The containers that run before a service have settings of their own.
    for (const [key, item] of items)
      visit(item, [...path, key], place.join(".") === "pre_start" ? [] : [...place, key]);
  };
  const name = textOf(fieldOf(file, "name")) ?? "";
  if (name !== "" && !isUnknown(name) && !/[a-z\d]/i.test(name))
    problems.push({ path: ["name"], message: "must have a letter from a to z or a digit" });
  for (const kind of ["services", "jobs"])
    for (const [name, settings] of entriesOf(fieldOf(file, kind))) visit(settings, [kind, name], []);
  for (const [section, check] of Object.entries(ofResources))
    for (const [name, resource] of entriesOf(fieldOf(file, section))) {
      const message = check(resource);
      if (message !== undefined) problems.push({ path: [section, name], message });
    }
  return problems;
}

/** Settings of a service that exclude or must equal each other. */
const combinations: readonly ((settings: unknown, workload: Workload) => string | undefined)[] = [
  (settings) => (fieldOf(settings, "pid") === null ? "has a pid without a value" : undefined),
  (settings, { isComplete }) =>
    isComplete &&
    !fieldOf(settings, "image") &&
    !["build", "provider"].some((name) => fieldOf(settings, name) !== undefined)
      ? "has no image, build or provider"
      : undefined,
  (settings) =>
    fieldOf(settings, "network_mode") && namesOf(fieldOf(settings, "networks")).length > 0
      ? "must have either network_mode or networks, not both"
      : undefined,
  (settings) =>
    fieldAt(settings, ["build", "dockerfile"]) && fieldAt(settings, ["build", "dockerfile_inline"])
      ? "must have either build.dockerfile or build.dockerfile_inline, not both"
      : undefined,
  (settings) => {
    const [platforms, platform] = [itemsOf(fieldAt(settings, ["build", "platforms"])), fieldOf(settings, "platform")];
    if (!platform || platforms.length === 0 || [platform, ...platforms].some(isUnknown)) return undefined;
    return platforms.includes(platform) ? undefined : "has a platform that build.platforms does not have";
  },
  (settings) => {
    const [scale, replicas] = [fieldOf(settings, "scale"), fieldAt(settings, ["deploy", "replicas"])];
    if (typeof scale !== "number" || typeof replicas !== "number" || scale === replicas) return undefined;
    return "must have the same number in scale and in deploy.replicas";
  },
  (settings) => {
    const instances = fieldOf(settings, "scale") ?? fieldAt(settings, ["deploy", "replicas"]);
    if (typeof instances !== "number") return undefined;
    if (instances < 0) return "must have 0 or more instances";
    return instances > 1 && fieldOf(settings, "container_name")
      ? "has a container_name, so it can run only once"
      : undefined;
  },
  ...(
    [
      ["cpus", "limits", "cpus", Number],
      ["mem_limit", "limits", "memory", bytesOf],
      ["mem_reservation", "reservations", "memory", bytesOf],
      ["pids_limit", "limits", "pids", Number],
    ] as const
  ).map(([setting, group, name, read]) => (settings: unknown) => {
    const value = fieldOf(settings, setting);
    const resources = fieldAt(settings, ["deploy", "resources", group]);
    const other = fieldOf(resources, name);
    if (!resources || isUnknown(value) || isUnknown(other) || !read(value ?? 0)) return undefined;
    return read(value) === read(other ?? 0)
      ? undefined
      : `must have the same value in ${setting} and in deploy.resources.${group}.${name}`;
  }),
  (settings) => {
    const targets = mountTargets(settings);
    const repeated = targets.find((target, index) => targets.indexOf(target) < index);
    return repeated === undefined ? undefined : `has two mounts at ${repeated}`;
  },
];

/** Of mounts that name the same target in the same way, Docker Compose uses the last one. */
function mountTargets(settings: unknown): readonly string[] {
  const volumes = itemsOf(fieldOf(settings, "volumes")).flatMap((item) => parseVolume(item).target ?? []);
  const tmpfs = itemsOf(fieldOf(settings, "tmpfs")).flatMap((item) => (isUnknown(item) ? [] : (textOf(item) ?? [])));
  const lastOfEach = new Map(tmpfs.map((item) => [item.replace(/=.*/s, ""), item.replace(/:.*/s, "")]));
  return [...lastOfEach.values(), ...[...new Set(volumes.filter((target) => !isUnknown(target)))].map(cleanPath)];
}

function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `${path.startsWith("/") ? "/" : ""}${parts.join("/")}`;
}

/** Finds settings of a service that contradict each other, and names that a service and a job share. */
export function findCombinationProblems(workloads: readonly Workload[]): readonly FileProblem[] {
  const services = workloads.filter(({ kind }) => kind === "services");
  const shared = workloads.filter(({ kind, name }) => kind === "jobs" && services.some((other) => other.name === name));
  return [
    ...shared.map(({ name }) => ({ path: ["jobs", name], message: "has the name of a service" })),
    ...services
      .filter(({ isEnabled }) => isEnabled)
      .flatMap((workload) =>
        combinations.flatMap((find) => {
          const message = find(workload.settings, workload);
          return message === undefined ? [] : [{ path: ["services", workload.name], message }];
        }),
      ),
  ];
}
