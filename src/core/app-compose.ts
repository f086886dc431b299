import { InvalidAppComposeError, InvalidEnvironmentError, PayloadTooLargeError } from "../errors/index.ts";
import { checkDockerCompose } from "./docker-compose.ts";
import { invalidEnvironmentName, isEnvironmentName } from "./environment.ts";
import { type JsonNode, type JsonObject, type JsonValue, jsonProblem, parseJsonTree, toJsonObject } from "./json.ts";

/**
 * The manifest of an app (`app-compose.json`). Its bytes are hashed, so unknown keys are kept. `null` is valid for
 * optional keys and gives another hash than an absent key.
 */
export interface AppCompose extends JsonObject {
  readonly manifest_version?: number | string | null;
  /** The name in the manifest. It is not the CVM's name and is often empty. */
  readonly name?: string | null;
  /** `docker-compose`, `nerdctl-compose` or `bash`. */
  readonly runner?: string | null;
  readonly docker_compose_file?: string | null;
  readonly bash_script?: string | null;
  readonly pre_launch_script?: string | null;
  /** Environment variables that the guest accepts; it discards all others. Their order changes the hash. */
  readonly allowed_envs?: readonly string[] | null;
  readonly features?: readonly string[] | null;
  readonly public_logs?: boolean | null;
  readonly public_sysinfo?: boolean | null;
  readonly public_tcbinfo?: boolean | null;
  readonly kms_enabled?: boolean | null;
  readonly gateway_enabled?: boolean | null;
  readonly tproxy_enabled?: boolean | null;
  readonly local_key_provider_enabled?: boolean | null;
  readonly key_provider?: string | null;
  readonly key_provider_id?: string | null;
  readonly no_instance_id?: boolean | null;
  readonly secure_time?: boolean | null;
  readonly storage_fs?: string | null;
}

/** Size limit of the docker compose file and the pre-launch script together, in bytes of UTF-8. */
export const maximumPayloadBytes = 200 * 1024;

const textFields = [
  "name",
  "runner",
  "docker_compose_file",
  "bash_script",
  "pre_launch_script",
  "key_provider",
  "key_provider_id",
  "storage_fs",
] as const;
const listFields = ["allowed_envs", "features"] as const;
/** Fields that are true or false. */
export const flagFields = [
  "public_logs",
  "public_sysinfo",
  "public_tcbinfo",
  "kms_enabled",
  "gateway_enabled",
  "tproxy_enabled",
  "local_key_provider_enabled",
  "no_instance_id",
  "secure_time",
] as const;

/**
 * Parses the text of an `app-compose.json`. It must be strict JSON without repeated keys and without numbers that would
 * be rounded. Known fields must have the right type.
 *
 * @throws InvalidAppComposeError with line and column if the text itself is invalid
 * @throws PayloadTooLargeError
 *
 * @example
 * import { readFile } from "node:fs/promises";
 * import { parseAppCompose } from "dstack-toolkit";
 * const document = parseAppCompose(await readFile("app-compose.json", "utf8"));
 */
export function parseAppCompose(text: string): AppCompose {
  const root = parseJsonTree(text);
  if (root.kind !== "object") throw jsonProblem(text, root.offset, "must be an object");
  refuseWhatWouldBeLost(root, text);
  return checkAppCompose(toJsonObject(root));
}

/**
 * Checks a manifest that is already an object, for example from an answer of the cloud. Returns the same object.
 *
 * @throws InvalidAppComposeError
 * @throws PayloadTooLargeError
 */
export function checkAppCompose(document: JsonObject): AppCompose {
  for (const field of textFields) requireType(document, field, "a string", isText);
  for (const field of listFields) requireType(document, field, "a list of strings", isTextList);
  for (const field of flagFields) requireType(document, field, "true or false", isFlag);
  requireType(
    document,
    "manifest_version",
    "a number or a string",
    (value) => typeof value === "number" || isText(value),
  );
  const manifest = document as AppCompose; // every known field was checked above
  const bytes = byteLength(manifest.docker_compose_file) + byteLength(manifest.pre_launch_script);
  if (bytes > maximumPayloadBytes) throw new PayloadTooLargeError(bytes, maximumPayloadBytes);
  return manifest;
}

/** Fields of a manifest that an update can change. An absent field keeps its current value. */
export interface AppComposeChanges {
  /** Text of the docker compose file, kept byte for byte. */
  readonly dockerCompose?: string | undefined;
  /** `""` removes the script: normalisation drops an empty script before hashing. */
  readonly preLaunchScript?: string | undefined;
  /** Names of the environment variables that the guest accepts, in order. */
  readonly allowedEnvs?: readonly string[] | undefined;
  readonly publicLogs?: boolean | undefined;
  readonly publicSysinfo?: boolean | undefined;
  readonly publicTcbinfo?: boolean | undefined;
}

/** By default a new manifest allows no variable, and its logs, system and TCB information are public. */
export interface BuildAppComposeParameters extends AppComposeChanges {
  readonly dockerCompose: string;
  /** @default "" */
  readonly name?: string | undefined;
  /** @default true */
  readonly kmsEnabled?: boolean | undefined;
  /** @default true */
  readonly gatewayEnabled?: boolean | undefined;
  /** @default false */
  readonly localKeyProviderEnabled?: boolean | undefined;
  /** @default false */
  readonly noInstanceId?: boolean | undefined;
  /** @default false */
  readonly secureTime?: boolean | undefined;
  /** @default "zfs" */
  readonly storageFs?: "zfs" | "ext4" | undefined;
}

/**
 * Builds the manifest of a docker compose app with the fields and defaults the platform writes.
 *
 * @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError
 *
 * @example
 * import { buildAppCompose } from "dstack-toolkit";
 * import { dockerCompose } from "./app.js";
 * const document = buildAppCompose({ name: "my-app", dockerCompose, allowedEnvs: ["API_TOKEN"] });
 */
export function buildAppCompose(parameters: BuildAppComposeParameters): AppCompose {
  const { kmsEnabled = true, gatewayEnabled = true } = parameters;
  const base = {
    manifest_version: 2,
    name: parameters.name ?? "",
    runner: "docker-compose",
    kms_enabled: kmsEnabled,
    gateway_enabled: gatewayEnabled,
    // The gateway's old name and the feature list repeat the two fields above, because older guests read them.
    tproxy_enabled: gatewayEnabled,
    features: [...(kmsEnabled ? ["kms"] : []), ...(gatewayEnabled ? ["tproxy-net"] : [])],
    local_key_provider_enabled: parameters.localKeyProviderEnabled ?? false,
    no_instance_id: parameters.noInstanceId ?? false,
    secure_time: parameters.secureTime ?? false,
    storage_fs: parameters.storageFs ?? "zfs",
  };
  return changeAppCompose(base, {
    ...parameters,
    allowedEnvs: parameters.allowedEnvs ?? [],
    publicLogs: parameters.publicLogs ?? true,
    publicSysinfo: parameters.publicSysinfo ?? true,
    publicTcbinfo: parameters.publicTcbinfo ?? true,
  });
}

/** The changes under the names that manifests and the cloud's API have for them. Absent ones are left out. */
export function toManifestFields(changes: AppComposeChanges) {
  const { dockerCompose, preLaunchScript, allowedEnvs, publicLogs, publicSysinfo, publicTcbinfo } = changes;
  return {
    ...(dockerCompose !== undefined && { docker_compose_file: dockerCompose }),
    ...(preLaunchScript !== undefined && { pre_launch_script: preLaunchScript }),
    ...(allowedEnvs !== undefined && { allowed_envs: [...allowedEnvs] }),
    ...(publicLogs !== undefined && { public_logs: publicLogs }),
    ...(publicSysinfo !== undefined && { public_sysinfo: publicSysinfo }),
    ...(publicTcbinfo !== undefined && { public_tcbinfo: publicTcbinfo }),
  };
}

/**
 * Returns a copy of `current` with the given fields replaced. Keeps every other key, including unknown ones. The same
 * names of variables in another order keep their order, because the order is part of the hash.
 *
 * @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError
 *
 * @example
 * import { changeAppCompose } from "dstack-toolkit";
 * import { dockerCompose, document } from "./app.js";
 * const changed = changeAppCompose(document, { dockerCompose });
 */
export function changeAppCompose(current: AppCompose, changes: AppComposeChanges): AppCompose {
  const { dockerCompose, allowedEnvs } = changes;
  const isSameSet = allowedEnvs !== undefined && isSameNames(current.allowed_envs ?? [], allowedEnvs);
  const { allowed_envs, ...fields } = toManifestFields(changes);
  const names = isSameSet || allowed_envs === undefined ? {} : { allowed_envs };
  const changed = checkAppCompose({ ...current, ...fields, ...names });
  if (dockerCompose !== undefined) checkDockerCompose(dockerCompose);
  if (allowedEnvs !== undefined) checkNames(allowedEnvs);
  return changed;
}

/** Whether two lists have the same names, in any order. False for two empty lists. */
function isSameNames(names: readonly string[], others: readonly string[]): boolean {
  const isWithin = (inner: readonly string[], outer: readonly string[]) => inner.every((name) => outer.includes(name));
  return names.length > 0 && names.length === others.length && isWithin(names, others) && isWithin(others, names);
}

function refuseWhatWouldBeLost(node: JsonNode, text: string): void {
  if (node.kind === "number") {
    const value = Number(node.lexeme);
    const isRounded = /^-?\d+$/.test(node.lexeme) && node.lexeme !== "-0" && String(value) !== node.lexeme;
    if (isRounded || !Number.isFinite(value)) throw jsonProblem(text, node.offset, "is a number that would be rounded");
  }
  if (node.kind === "array") for (const item of node.items) refuseWhatWouldBeLost(item, text);
  if (node.kind !== "object") return;
  const [repeated] = node.repeatedKeys;
  if (repeated !== undefined) throw jsonProblem(text, repeated.offset, "is a repeated key");
  for (const [key, value] of node.members) {
    // An assignment to this key sets a prototype instead of a field, in this code or in another serialiser.
    if (key === "__proto__")
      throw jsonProblem(text, value.offset, "is the value of the key __proto__, which is not accepted");
    refuseWhatWouldBeLost(value, text);
  }
}

function requireType(
  document: JsonObject,
  field: string,
  expected: string,
  accepts: (value: unknown) => boolean,
): void {
  const value = document[field];
  if (value === undefined || value === null || accepts(value)) return;
  throw new InvalidAppComposeError(`The app-compose field ${field} must be ${expected}.`, {
    nextStep: "Correct the field or remove it.",
    context: { field, expected },
  });
}

function checkNames(names: readonly string[]): void {
  for (const [index, name] of names.entries()) {
    if (!isEnvironmentName(name)) throw invalidEnvironmentName(`allowed environment variable ${index + 1}`, { index });
    if (names.indexOf(name) === index) continue;
    throw new InvalidEnvironmentError(`The environment variable ${name} is listed twice.`, {
      nextStep: "List it once. The list is part of the hash and is not changed.",
      context: { name },
    });
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isFlag(value: unknown): boolean {
  return typeof value === "boolean";
}

function byteLength(text: string | null | undefined): number {
  return new TextEncoder().encode(text ?? "").length;
}

/**
 * Removes fields that have no effect: the compose file of a bash app, the bash script of a docker compose app, and an
 * empty pre-launch script. The platform does the same before it hashes.
 */
export function normaliseAppCompose(document: JsonObject): JsonObject {
  const kept: Record<string, JsonValue | undefined> = { ...document };
  if (document.runner === "bash") delete kept.docker_compose_file;
  if (document.runner === "docker-compose") delete kept.bash_script;
  if (!document.pre_launch_script) delete kept.pre_launch_script;
  return kept;
}
