import {
  errorCodes,
  type PatchCvmRequest,
  type PatchEnvsRequest,
  type PatchResourcesRequest,
  type PatchVisibilityRequest,
  type ProvisionComposeFileRequest,
  patchCvmRequestSchema,
} from "../../cloud/protocol.ts";
import type { JsonObject } from "../../core/json.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { UpdateChange } from "../services/plan-update.ts";
import type { CvmSettings, Gpus } from "../store/cvms.ts";
import { definedOnly } from "./defined-only.ts";

// Ephemeral public key, iv and tag: what an encryption of nothing would still hold.
const shortestEncryptedEnvBytes = 60;

const { compose_hash: _hash, transaction_hash: _transaction, ...changeFields } = patchCvmRequestSchema.shape;

/** A field that asks for a change, where a body has one. Fields that no endpoint knows are clients' own business. */
export function findChangeField(body: unknown): string | undefined {
  const given: Record<string, unknown> = Object(body);
  return [...Object.keys(changeFields), "env_keys"].find((name) => (given[name] ?? undefined) !== undefined);
}

/**
 * The change a body asks for; undefined when it asks for none, as the bare confirmation of phase 2.
 *
 * @throws InvalidRequestError
 */
export function readPatchChange(body: PatchCvmRequest): UpdateChange | undefined {
  if (findChangeField(body) === undefined) return undefined;
  return {
    compose: {
      dockerCompose: body.docker_compose_file ?? undefined,
      preLaunchScript: body.pre_launch_script ?? undefined,
      allowedEnvs: readNames(body.allowed_envs ?? body.env_keys),
      publicLogs: body.public_logs ?? undefined,
      publicSysinfo: body.public_sysinfo ?? undefined,
      publicTcbinfo: body.public_tcbinfo ?? undefined,
    },
    manifest: definedOnly({
      gateway_enabled: readFlag(body.gateway_enabled),
      secure_time: readFlag(body.secure_time),
    }),
    encryptedEnv: readEncryptedEnv(body.encrypted_env),
    settings: readSettings(body),
    isRestartAllowed: readFlag(body.allow_restart),
  };
}

/** @throws InvalidRequestError */
export function readResourcesChange(body: PatchResourcesRequest): UpdateChange {
  return {
    settings: definedOnly({ ...readSizes(body), instanceType: body.instance_type }),
    isRestartAllowed: readFlag(body.allow_restart),
  };
}

export function readVisibilityChange(body: PatchVisibilityRequest): UpdateChange | undefined {
  const { public_sysinfo, public_logs, public_tcbinfo } = body;
  const compose = definedOnly({
    publicSysinfo: public_sysinfo,
    publicLogs: public_logs,
    publicTcbinfo: public_tcbinfo,
  });
  return Object.keys(compose).length === 0 ? undefined : { compose };
}

/** @throws InvalidRequestError */
export function readEnvsChange(body: PatchEnvsRequest): UpdateChange {
  return {
    compose: { allowedEnvs: body.env_keys ?? undefined },
    encryptedEnv: readEncryptedEnv(body.encrypted_env),
  };
}

export type TextField = "docker_compose_file" | "pre_launch_script";

/**
 * A new text for one field of the document: the body itself, or JSON with the text in that field. Undefined when
 * there is none.
 *
 * @throws InvalidRequestError
 */
export function readTextChange(body: unknown, field: TextField): UpdateChange | undefined {
  const text: unknown = typeof body === "object" && body !== null ? Reflect.get(body, field) : body;
  if (text === undefined || text === null || body === "") return undefined;
  if (typeof text !== "string") throw new InvalidRequestError(["body", field], "Must be a string.");
  return { compose: field === "docker_compose_file" ? { dockerCompose: text } : { preLaunchScript: text } };
}

/**
 * What a body without text means outside a confirmation: no script any more, for a client cannot send an empty body.
 * JSON that names no script asks for nothing.
 *
 * @throws ApiError 400 for a compose file, which no CVM can do without; InvalidRequestError
 */
export function readAbsentText(body: unknown, field: TextField): UpdateChange {
  if (field === "pre_launch_script") {
    if (typeof body !== "object" || body === null) return { compose: { preLaunchScript: "" } };
    throw new InvalidRequestError(["body", field], "Field required", "missing");
  }
  throw new ApiError(400, errorCodes.composeFileRequired, "The request has no docker compose file.");
}

/** The document to provision: every key sent, over the current document's. */
export function readProvisionChange(body: ProvisionComposeFileRequest): UpdateChange {
  const {
    docker_compose_file,
    pre_launch_script,
    allowed_envs,
    encrypted_env,
    update_env_vars: _,
    ...manifest
  } = definedOnly(body);
  return {
    compose: {
      dockerCompose: docker_compose_file,
      preLaunchScript: pre_launch_script,
      allowedEnvs: allowed_envs,
    },
    manifest: manifest as JsonObject, // it came in as JSON
    encryptedEnv: readEncryptedEnv(encrypted_env),
  };
}

/**
 * Hex of a plausible length, in lower case and without `0x`. Whether it opens is for the guest to find out.
 *
 * @throws InvalidRequestError
 */
export function readEncryptedEnv(raw: string | null | undefined): string | undefined {
  if (raw === null || raw === undefined) return undefined;
  const digits = raw.replace(/^0x/i, "").toLowerCase();
  const isHex = /^([0-9a-f]{2})*$/.test(digits);
  if (isHex && digits.length >= shortestEncryptedEnvBytes * 2) return digits;
  const problem = isHex ? `needs at least ${shortestEncryptedEnvBytes} bytes` : "must be hex, two digits per byte";
  throw new InvalidRequestError(["body", "encrypted_env"], `An encrypted environment ${problem}.`);
}

function readSettings(body: PatchCvmRequest): Partial<CvmSettings> {
  return definedOnly({
    ...readSizes(body),
    instanceType: body.instance_type,
    osImage: body.image ?? body.os_image_name,
    listed: readFlag(body.listed),
    userConfig: body.user_config,
    shutdownTimeout: readShutdownTimeout(body.shutdown_timeout),
    allowForceStop: readFlag(body.allow_force_stop),
    gpus: readGpus(body.gpus),
  });
}

function readSizes(body: Pick<PatchResourcesRequest, "vcpu" | "memory" | "disk_size">) {
  return {
    vcpu: readSize(body.vcpu, "vcpu"),
    memoryMb: readSize(body.memory, "memory"),
    diskGb: readSize(body.disk_size, "disk_size"),
  };
}

function readFlag(value: boolean | 0 | 1 | null | undefined): boolean | undefined {
  return value === null || value === undefined ? undefined : Boolean(value);
}

function readShutdownTimeout(seconds: number | null | undefined): number | undefined {
  if (seconds === null || seconds === undefined) return undefined;
  if (seconds >= 10 && seconds <= 1200) return seconds;
  throw new InvalidRequestError(["body", "shutdown_timeout"], "Must be 10 to 1200 seconds.");
}

function readGpus(gpus: PatchCvmRequest["gpus"]): Gpus | undefined {
  if (gpus === null || gpus === undefined) return undefined;
  if (Number.isInteger(gpus.count) && gpus.count >= 0 && gpus.count <= largestSize) {
    return { count: gpus.count, productName: gpus.product_name ?? null };
  }
  throw new InvalidRequestError(["body", "gpus", "count"], "Must be a whole number, 0 or more.");
}

/** No machine is larger: 16 TiB in MB. */
const largestSize = 2 ** 24;

/** Clients send whole numbers as floats too. @throws InvalidRequestError */
export function readSize(value: number | null | undefined, field: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (Number.isInteger(value) && value > 0 && value <= largestSize) return value;
  throw new InvalidRequestError(["body", field], "Must be a positive whole number.");
}

/** An older Go client sends the names as one text, separated by commas. */
function readNames(value: unknown): readonly string[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "string") return value.split(",").map((name) => name.trim());
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw new InvalidRequestError(["body", "env_keys"], "Must be a list of names.");
}
