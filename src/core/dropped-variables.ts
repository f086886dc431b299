import { parseComposeYaml } from "./docker-compose.ts";
import { neededVariables, variablesWithin } from "./lint/compose-rules.ts";

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
    .map((name) => ({ name, isUsed: used.includes(name) }))
    .toSorted((one, other) => Number(other.isUsed) - Number(one.isUsed));
}

export interface FindUnsetVariablesParameters extends FindDroppedVariablesParameters {
  /** Names that the document allows. */
  readonly allowed: readonly string[];
}

/**
 * Returns the allowed variables that the compose file needs, and that neither the new environment sets nor the one before
 * did: those are dropped variables.
 */
export function findUnsetVariables(parameters: FindUnsetVariablesParameters): readonly string[] {
  const { allowed, before, after, dockerCompose } = parameters;
  const names = allowed.filter((name) => !after.includes(name) && !before.includes(name));
  if (names.length === 0) return [];
  const needed = usedVariables(dockerCompose ?? "", neededVariables);
  return needed.filter((name) => names.includes(name));
}

/** Returns nothing if the file cannot be parsed. Other checks report that problem. */
function usedVariables(text: string, within = variablesWithin): readonly string[] {
  try {
    return within(parseComposeYaml(text));
  } catch {
    return [];
  }
}
