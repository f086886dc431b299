import { parseComposeYaml } from "./docker-compose.ts";
import { variablesOf } from "./lint/compose-rules.ts";

/** A variable that a new environment no longer sets. */
export interface DroppedVariable {
  readonly name: string;
  /** Whether the new compose file uses it: as `${NAME}`, as `$NAME`, or as a name without a value in `environment`. */
  readonly isUsed: boolean;
}

export interface FindDroppedVariablesParameters {
  /** Names set so far. */
  readonly before: readonly string[];
  /** Names that the new environment sets. */
  readonly after: readonly string[];
  /** Text of the compose file that the CVM will use. */
  readonly dockerCompose: string | null | undefined;
}

/**
 * Returns the variables that are set now and that the new environment does not set. Variables that the compose file
 * uses come first.
 */
export function findDroppedVariables(parameters: FindDroppedVariablesParameters): readonly DroppedVariable[] {
  const { before, after, dockerCompose } = parameters;
  const names = before.filter((name, index) => !after.includes(name) && before.indexOf(name) === index);
  if (names.length === 0) return [];
  const used = usedVariables(dockerCompose ?? "");
  return names
    .map((name) => ({ name, isUsed: used.has(name) }))
    .toSorted((one, other) => Number(other.isUsed) - Number(one.isUsed));
}

/** Returns an empty set if the file cannot be parsed. Other checks report that problem. */
function usedVariables(text: string): ReadonlySet<string> {
  const used = new Set<string>();
  const seen = new Set<object>();
  const walk = (value: unknown): void => {
    if (typeof value === "string") for (const name of variablesOf(value)) used.add(name);
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value); // YAML anchors can put one object in several places
    for (const inner of Object.values(value)) walk(inner);
  };
  try {
    const compose = parseComposeYaml(text);
    walk(compose);
    for (const service of valuesOf(fieldOf(compose, "services"))) {
      for (const name of passedOn(fieldOf(service, "environment"))) used.add(name);
    }
  } catch {
    return used;
  }
  return used;
}

/** Names without a value, in either form of `environment`: Docker takes their values from the CVM's environment. */
function passedOn(environment: unknown): string[] {
  if (Array.isArray(environment)) {
    return environment.filter((entry) => typeof entry === "string" && !entry.includes("="));
  }
  if (typeof environment !== "object" || environment === null) return [];
  return Object.entries(environment).flatMap(([name, value]) => (value === null ? [name] : []));
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name] // hasOwn was checked
    : undefined;
}

function valuesOf(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}
