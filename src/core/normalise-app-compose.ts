import type { JsonObject, JsonValue } from "./json.ts";

/**
 * Drops what cannot take effect: the compose file of a bash app, the bash script of a docker compose app, an empty
 * pre-launch script. The platform does this before it hashes.
 */
export function normaliseAppCompose(document: JsonObject): JsonObject {
  const kept: Record<string, JsonValue | undefined> = { ...document };
  if (document.runner === "bash") delete kept.docker_compose_file;
  if (document.runner === "docker-compose") delete kept.bash_script;
  if (!document.pre_launch_script) delete kept.pre_launch_script;
  return kept;
}
