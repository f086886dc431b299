import type { JsonObject } from "./json.ts";

/**
 * Drops what cannot take effect: the compose file of a bash app, the bash script of a docker compose app, an empty
 * pre-launch script. The platform does this before it hashes.
 */
export function normaliseAppCompose(document: JsonObject): JsonObject {
  const { docker_compose_file, bash_script, pre_launch_script, ...rest } = document;
  return {
    ...rest,
    ...(docker_compose_file !== undefined && document.runner !== "bash" && { docker_compose_file }),
    ...(bash_script !== undefined && document.runner !== "docker-compose" && { bash_script }),
    ...(pre_launch_script && { pre_launch_script }),
  };
}
