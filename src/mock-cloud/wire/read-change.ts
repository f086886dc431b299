import {
  errorCodes,
  type PatchCvmRequest,
  type PatchEnvsRequest,
  type ProvisionComposeFileRequest,
} from "../../cloud/protocol.ts";
import type { JsonObject } from "../../core/json.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { UpdateChange } from "../services/plan-update.ts";
import type { CvmSettings } from "../store/cvms.ts";
import { definedOnly } from "./defined-only.ts";

// Ephemeral public key, iv and tag: what an encryption of nothing would still hold.
const shortestEncryptedEnvBytes = 60;

/**
 * The change a body asks for; undefined when it asks for none, as the bare confirmation of phase 2.
 *
 * @throws InvalidRequestError
 */
export function readPatchChange(body: PatchCvmRequest): UpdateChange | undefined {
  const { compose_hash: _, transaction_hash: __, ...change } = body;
  if (Object.values(change).every((value) => value === null || value === undefined)) return undefined;
  const { gateway_enabled, secure_time } = body;
  return {
    compose: {
      dockerCompose: body.docker_compose_file ?? undefined,
      preLaunchScript: body.pre_launch_script ?? undefined,
      allowedEnvs: readNames(body.allowed_envs ?? body.env_keys),
      publicLogs: body.public_logs ?? undefined,
      publicSysinfo: body.public_sysinfo ?? undefined,
      publicTcbinfo: body.public_tcbinfo ?? undefined,
    },
    manifest: definedOnly({ gateway_enabled, secure_time }),
    encryptedEnv: readEncryptedEnv(body.encrypted_env),
    settings: readSettings(body),
  };
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
 *
 * @throws ApiError 400 for a compose file, which no CVM can do without
 */
export function readAbsentText(field: TextField): UpdateChange {
  if (field === "pre_launch_script") return { compose: { preLaunchScript: "" } };
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
    vcpu: readSize(body.vcpu, "vcpu"),
    memoryMb: readSize(body.memory, "memory"),
    diskGb: readSize(body.disk_size, "disk_size"),
    instanceType: body.instance_type,
    osImage: body.image ?? body.os_image_name,
    listed: body.listed,
    userConfig: body.user_config,
    shutdownTimeout: body.shutdown_timeout,
    allowForceStop: body.allow_force_stop,
  });
}

/** Clients send whole numbers as floats too. */
function readSize(value: number | null | undefined, field: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidRequestError(["body", field], "Must be a positive whole number.");
}

/** An older Go client sends the names as one text, separated by commas. */
function readNames(value: unknown): readonly string[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "string") return value.split(",").map((name) => name.trim());
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw new InvalidRequestError(["body", "env_keys"], "Must be a list of names.");
}
