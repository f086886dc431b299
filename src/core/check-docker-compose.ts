import { invalidCompose, parseComposeYaml } from "./parse-compose-yaml.ts";

/**
 * The services of a docker compose file, each with what is written of it.
 *
 * @throws InvalidAppComposeError where it is no such file, or one that Docker Compose would read differently
 */
export function readComposeServices(text: string): Readonly<Record<string, unknown>> {
  const file = parseComposeYaml(text);
  const services = isMapping(file) ? file.services : undefined;
  if (!isMapping(services)) throw invalidCompose("has no mapping named services", {});
  if (Object.keys(services).length === 0) throw invalidCompose("has no service", {});
  return services;
}

/**
 * Checks that a text is a docker compose file: one YAML document with at least one service. The text itself is never
 * rewritten.
 *
 * @throws InvalidAppComposeError with line and column where YAML itself is at fault
 */
export function checkDockerCompose(text: string): void {
  readComposeServices(text);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
