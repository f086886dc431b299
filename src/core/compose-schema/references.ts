import { entriesOf, fieldOf } from "../docker-compose.ts";
import { isUnknown } from "./interpolation.ts";
import { fieldAt, itemsOf, namesOf, parseVolume, textOf } from "./values.ts";

export interface FileProblem {
  readonly path: readonly string[];
  /** End of a sentence that begins with the path. */
  readonly message: string;
}

/** A service or a job, as Docker Compose sees it. */
export interface Workload {
  readonly kind: "services" | "jobs";
  readonly name: string;
  /** With the settings of the services that it extends. */
  readonly settings: unknown;
  /** Whether the file has all its settings: it extends no service of another file. */
  readonly isComplete: boolean;
  /** Whether it starts without a profile being named. */
  readonly isEnabled: boolean;
}

/** Applies `extends` to every service and job of a file that satisfies the schema. */
export function readWorkloads(file: unknown): {
  readonly workloads: readonly Workload[];
  readonly problems: readonly FileProblem[];
} {
  const problems: FileProblem[] = [];
  const workloads = (["services", "jobs"] as const).flatMap((kind) => {
    const section = fieldOf(file, kind);
    return entriesOf(section).map(([name]): Workload => {
      const { settings, isComplete } = extend(section, name, [], (message) =>
        problems.push({ path: [kind, name, "extends"], message }),
      );
      const isEnabled = itemsOf(fieldOf(settings, "profiles")).length === 0;
      return { kind, name, settings, isComplete: isComplete && !hasIncludes(file), isEnabled };
    });
  });
  return { workloads, problems: hasIncludes(file) ? [] : problems };
}

function hasIncludes(file: unknown): boolean {
  return itemsOf(fieldOf(file, "include")).length > 0;
}

/** Services that extend each other in a row. Each of them is merged, so their number is limited. */
const maximumExtends = 100;

function extend(
  section: unknown,
  name: string,
  trail: readonly string[],
  refuse: (message: string) => void,
): { readonly settings: unknown; readonly isComplete: boolean } {
  const own = fieldOf(section, name);
  const reference = fieldOf(own, "extends");
  if (reference === undefined) return { settings: own, isComplete: true };
  const base = textOf(reference) ?? textOf(fieldOf(reference, "service"));
  const isElsewhere = fieldOf(reference, "file") !== undefined;
  if (isElsewhere || base === undefined || isUnknown(base)) return { settings: own, isComplete: false };
  if (fieldOf(section, base) === undefined) {
    refuse(`names the service ${base}, which is not defined`);
    return { settings: own, isComplete: false };
  }
  if ([...trail, name].includes(base) || trail.length > maximumExtends) {
    refuse(trail.length > maximumExtends ? "extends too many services in a row" : `leads back to the service ${base}`);
    return { settings: own, isComplete: false };
  }
  const { settings, isComplete } = extend(section, base, [...trail, name], refuse);
  return { settings: merge(settings, own), isComplete };
}

/** Settings that replace those of an extended service as a whole. */
const replaced = ["command", "entrypoint", "test"];

function merge(base: unknown, own: unknown, key = ""): unknown {
  if (Array.isArray(base) && Array.isArray(own)) return replaced.includes(key) ? own : [...base, ...own];
  if (Array.isArray(base) && isMapping(own)) return { ...Object.fromEntries(base.map((name) => [name, null])), ...own };
  if (isMapping(base) && Array.isArray(own)) return { ...base, ...Object.fromEntries(own.map((name) => [name, null])) };
  if (!isMapping(base) || !isMapping(own)) return own;
  const { extends: _, ...inherited } = base;
  const merged = Object.entries(own).map(([name, value]) => [
    name,
    name in inherited ? merge(inherited[name], value, name) : value,
  ]);
  return { ...inherited, ...Object.fromEntries(merged) };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface Reference {
  readonly setting: readonly string[];
  readonly name: string;
}

/** References to entries of the top level, by section. */
const sections: Readonly<
  Record<string, { readonly what: string; readonly find: (settings: unknown) => readonly Reference[] }>
> = {
  networks: {
    what: "network",
    find: (settings) =>
      references(["networks"], namesOf(fieldOf(settings, "networks"))).filter(({ name }) => name !== "default"),
  },
  volumes: {
    what: "volume",
    find: (settings) =>
      itemsOf(fieldOf(settings, "volumes")).flatMap((volume, index) => {
        const { type, source } = parseVolume(volume);
        return type === "volume" && source ? references(["volumes", String(index)], [source]) : [];
      }),
  },
  secrets: {
    what: "secret",
    find: (settings) => [
      ...sourcesOf(settings, ["secrets"]),
      ...sourcesOf(fieldOf(settings, "build"), ["build", "secrets"]),
    ],
  },
  configs: { what: "config", find: (settings) => sourcesOf(settings, ["configs"]) },
  models: { what: "model", find: (settings) => references(["models"], namesOf(fieldOf(settings, "models"))) },
};

function references(setting: readonly string[], names: readonly string[]): Reference[] {
  return names.filter((name) => !isUnknown(name)).map((name) => ({ setting, name }));
}

/** Names of the items of a list: texts, or mappings with a `source`. */
function sourcesOf(settings: unknown, setting: readonly string[]): Reference[] {
  return itemsOf(fieldOf(settings, setting.at(-1) ?? "")).flatMap((item, index) =>
    references([...setting, String(index)], [textOf(item) ?? textOf(fieldOf(item, "source")) ?? []].flat()),
  );
}

interface Dependency extends Reference {
  readonly isRequired: boolean;
}

/** The services that must start first. */
function dependenciesOf(settings: unknown): readonly Dependency[] {
  const dependsOn = fieldOf(settings, "depends_on");
  const named = references(["depends_on"], namesOf(dependsOn)).map((reference) => ({
    ...reference,
    isRequired: fieldOf(fieldOf(dependsOn, reference.name), "required") !== false,
  }));
  const texts = (setting: string) => itemsOf(fieldOf(settings, setting)).filter((item) => typeof item === "string");
  const links = texts("links").map((link) => (link.split(":").length === 2 ? link.replace(/:.*/, "") : link));
  const shared = ["network_mode", "ipc", "pid", "uts", "cgroup"].flatMap((setting) => {
    const text = textOf(fieldOf(settings, setting)) ?? "";
    return text.startsWith("service:") ? references([setting], [text.slice("service:".length)]) : [];
  });
  const volumes = texts("volumes_from").filter((from) => !from.startsWith("container:"));
  const implied = [
    ...references(["links"], links),
    ...shared,
    ...references(
      ["volumes_from"],
      volumes.map((from) => from.replace(/:.*/, "")),
    ),
  ].filter(({ name }) => !named.some((other) => other.name === name));
  return [...named, ...implied.map((reference) => ({ ...reference, isRequired: true }))];
}

/**
 * Finds references to what the file does not define, and services that wait for each other. Files that include others
 * are not judged, because the others may define it.
 */
export function findReferenceProblems(file: unknown, workloads: readonly Workload[]): readonly FileProblem[] {
  if (hasIncludes(file)) return [];
  const enabled = workloads.filter(({ isEnabled }) => isEnabled);
  const byName = new Map<string, Workload[]>();
  for (const workload of workloads) byName.set(workload.name, [...(byName.get(workload.name) ?? []), workload]);
  return [
    ...enabled.flatMap((workload) => [
      ...undefinedEntries(file, workload),
      ...undefinedServices(byName, workload),
      ...undefinedContexts(file, workload),
    ]),
    ...cycles(enabled),
  ];
}

function undefinedEntries(file: unknown, { kind, name: workload, settings }: Workload): FileProblem[] {
  if (kind === "jobs") return [];
  return Object.entries(sections).flatMap(([section, { what, find }]) =>
    find(settings)
      .filter(({ name }) => fieldOf(fieldOf(file, section), name) === undefined)
      .map(({ setting, name }) => ({
        path: [kind, workload, ...setting],
        message: `names the ${what} ${name}, which is not defined in ${section}`,
      })),
  );
}

function undefinedServices(
  byName: ReadonlyMap<string, readonly Workload[]>,
  { kind, name: workload, settings }: Workload,
): FileProblem[] {
  return dependenciesOf(settings).flatMap(({ setting, name, isRequired }) => {
    const found = byName.get(name) ?? [];
    const path = [kind, workload, ...setting];
    if (found.some((other) => other.isEnabled && (other.kind === "services" || kind === "jobs"))) return [];
    if (found.some((other) => other.isEnabled))
      return [{ path, message: `names the job ${name}, but a service can wait only for services` }];
    if (found.length === 0) return [{ path, message: `names the service ${name}, which is not defined` }];
    return isRequired ? [{ path, message: `names the service ${name}, which starts only with a profile` }] : [];
  });
}

/** Services whose image another service's build starts from. They must be built too. */
function undefinedContexts(file: unknown, { kind, name: workload, settings }: Workload): FileProblem[] {
  const contexts = fieldAt(settings, ["build", "additional_contexts"]);
  const values = Array.isArray(contexts)
    ? contexts.map((context) => String(context).replace(/^[^=]*=/, ""))
    : entriesOf(contexts).map(([, context]) => String(context));
  return values
    .filter((value) => value.startsWith("service:") && !fieldAt(file, ["services", value.slice(8), "build"]))
    .map((value) => ({
      path: [kind, workload, "build", "additional_contexts"],
      message: `names the service ${value.slice(8)}, which the file does not build`,
    }));
}

/** Each cycle once, at the first of its services in the file. */
function cycles(enabled: readonly Workload[]): FileProblem[] {
  const services = new Map(enabled.filter(({ kind }) => kind === "services").map((service) => [service.name, service]));
  const next = (name: string) =>
    dependenciesOf(services.get(name)?.settings)
      .map((dependency) => dependency.name)
      .filter((dependency) => services.has(dependency));
  const visited = new Set<string>();
  const found: FileProblem[] = [];
  for (const first of services.keys()) {
    if (visited.has(first)) continue;
    visited.add(first);
    // Each waits for the next one, and has services left to follow.
    const trail = [{ name: first, left: next(first) }];
    const names = new Set([first]);
    for (let last = trail.at(-1); last !== undefined; last = trail.at(-1)) {
      const name = last.left.shift();
      if (name === undefined) {
        trail.pop();
        names.delete(last.name);
      } else if (names.has(name)) {
        const cycle = [...names].slice([...names].indexOf(name));
        found.push({ path: ["services", name], message: `waits for itself: ${[...cycle, name].join(" -> ")}` });
      } else if (!visited.has(name)) {
        visited.add(name);
        names.add(name);
        trail.push({ name, left: next(name) });
      }
    }
  }
  return found;
}
