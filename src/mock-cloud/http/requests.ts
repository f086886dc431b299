import { z } from "zod";
import {
  alreadyRegistered,
  type CommitUpdateRequest,
  errorCodes,
  headerNames,
  type PatchCvmRequest,
  type PatchEnvsRequest,
  type PatchResourcesRequest,
  type PatchVisibilityRequest,
  type ProvisionComposeFileRequest,
  patchCvmRequestSchema,
  type UserConfig,
} from "../../cloud/protocol.ts";
import { type ComposeHash, parseComposeHash, parseTransactionHash } from "../../core/ids.ts";
import type { JsonObject } from "../../core/json.ts";
import { parseJson } from "../../core/text.ts";
import { isDstackError } from "../../errors/index.ts";
import { ApiError, InvalidRequestError, replacePendingHeader } from "../errors.ts";
import type { Confirmation } from "../services/onchain-policy.ts";
import type { UpdateChange } from "../services/plan-update.ts";
import type { TokenCommit } from "../services/prepared-updates.ts";
import type { ChangeContext } from "../services/updates.ts";
import type { CvmSettings, Gpus } from "../store/cvms.ts";

// Ephemeral public key, IV and tag: the size of an encrypted empty text.
const shortestEncryptedEnvBytes = 60;

const { compose_hash: _hash, transaction_hash: _transaction, ...changeFields } = patchCvmRequestSchema.shape;

/** Finds a field of the body that asks for a change. Fields that no endpoint knows are ignored. */
export function findChangeField(body: unknown): string | undefined {
  const given: Record<string, unknown> = Object(body);
  return [...Object.keys(changeFields), "env_keys"].find((name) => (given[name] ?? undefined) !== undefined);
}

/**
 * Reads the change that a body asks for. Undefined if it asks for none, as in the plain confirmation of phase 2.
 *
 * @throws InvalidRequestError
 */
export function parsePatchChange(body: PatchCvmRequest): UpdateChange | undefined {
  if (findChangeField(body) === undefined) return undefined;
  return {
    compose: {
      dockerCompose: body.docker_compose_file ?? undefined,
      preLaunchScript: body.pre_launch_script ?? undefined,
      allowedEnvs: parseNames(body.allowed_envs ?? body.env_keys),
      publicLogs: body.public_logs ?? undefined,
      publicSysinfo: body.public_sysinfo ?? undefined,
      publicTcbinfo: body.public_tcbinfo ?? undefined,
    },
    manifest: definedOnly({
      gateway_enabled: parseFlag(body.gateway_enabled),
      secure_time: parseFlag(body.secure_time),
    }),
    encryptedEnv: parseEncryptedEnv(body.encrypted_env),
    settings: parseSettings(body),
    isRestartAllowed: parseFlag(body.allow_restart),
  };
}

/** @throws InvalidRequestError */
export function parseResourcesChange(body: PatchResourcesRequest): UpdateChange {
  return {
    settings: definedOnly({ ...parseSizes(body), instanceType: body.instance_type }),
    isRestartAllowed: parseFlag(body.allow_restart),
  };
}

export function parseVisibilityChange(body: PatchVisibilityRequest): UpdateChange | undefined {
  const { public_sysinfo, public_logs, public_tcbinfo } = body;
  const compose = definedOnly({
    publicSysinfo: public_sysinfo,
    publicLogs: public_logs,
    publicTcbinfo: public_tcbinfo,
  });
  return Object.keys(compose).length === 0 ? undefined : { compose };
}

/** @throws InvalidRequestError */
export function parseEnvsChange(body: PatchEnvsRequest): UpdateChange {
  return {
    compose: { allowedEnvs: body.env_keys ?? undefined },
    encryptedEnv: parseEncryptedEnv(body.encrypted_env),
  };
}

export type TextField = "docker_compose_file" | "pre_launch_script";

/**
 * Reads a new text for one field of the document: the body itself, or JSON with the text in that field. Undefined if
 * there is no text.
 *
 * @throws InvalidRequestError
 */
export function parseTextChange(body: unknown, field: TextField): UpdateChange | undefined {
  const text: unknown = typeof body === "object" && body !== null ? Reflect.get(body, field) : body;
  if (text === undefined || text === null || body === "") return undefined;
  if (typeof text !== "string") throw new InvalidRequestError(["body", field], "Must be a string.");
  return { compose: field === "docker_compose_file" ? { dockerCompose: text } : { preLaunchScript: text } };
}

/**
 * Interprets a body without text that is not a confirmation. It removes the pre-launch script, because a client cannot
 * send an empty script. JSON without the script field is invalid.
 *
 * @throws ApiError 400 for a missing compose file, because every CVM needs one; InvalidRequestError
 */
export function parseAbsentText(body: unknown, field: TextField): UpdateChange {
  if (field === "pre_launch_script") {
    if (typeof body !== "object" || body === null) return { compose: { preLaunchScript: "" } };
    throw new InvalidRequestError(["body", field], "Field required", "missing");
  }
  throw new ApiError(400, errorCodes.composeFileRequired, "The request has no docker compose file.");
}

/** Reads the document to provision: all keys of the body replace those of the current document. */
export function parseProvisionChange(body: ProvisionComposeFileRequest): UpdateChange {
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
    encryptedEnv: parseEncryptedEnv(encrypted_env),
  };
}

/**
 * Returns hex in lower case without `0x`, of a plausible length. Only the guest finds out whether it can be decrypted.
 *
 * @throws InvalidRequestError
 */
export function parseEncryptedEnv(raw: string | null | undefined): string | undefined {
  if (raw === null || raw === undefined) return undefined;
  const digits = raw.replace(/^0x/i, "").toLowerCase();
  const isHex = /^([0-9a-f]{2})*$/.test(digits);
  if (isHex && digits.length >= shortestEncryptedEnvBytes * 2) return digits;
  const problem = isHex ? `needs at least ${shortestEncryptedEnvBytes} bytes` : "must be hex, two digits per byte";
  throw new InvalidRequestError(["body", "encrypted_env"], `An encrypted environment ${problem}.`);
}

function parseSettings(body: PatchCvmRequest): Partial<CvmSettings> {
  return definedOnly({
    ...parseSizes(body),
    instanceType: body.instance_type,
    osImage: body.image ?? body.os_image_name,
    listed: parseFlag(body.listed),
    userConfig: body.user_config,
    shutdownTimeout: parseShutdownTimeout(body.shutdown_timeout),
    allowForceStop: parseFlag(body.allow_force_stop),
    gpus: parseGpus(body.gpus),
  });
}

function parseSizes(body: Pick<PatchResourcesRequest, "vcpu" | "memory" | "disk_size">) {
  return {
    vcpu: parseSize(body.vcpu, "vcpu"),
    memoryMb: parseSize(body.memory, "memory"),
    diskGb: parseSize(body.disk_size, "disk_size"),
  };
}

function parseFlag(value: boolean | 0 | 1 | null | undefined): boolean | undefined {
  return value === null || value === undefined ? undefined : Boolean(value);
}

function parseShutdownTimeout(seconds: number | null | undefined): number | undefined {
  if (seconds === null || seconds === undefined) return undefined;
  if (seconds >= 10 && seconds <= 1200) return seconds;
  throw new InvalidRequestError(["body", "shutdown_timeout"], "Must be 10 to 1200 seconds.");
}

function parseGpus(gpus: PatchCvmRequest["gpus"]): Gpus | undefined {
  if (gpus === null || gpus === undefined) return undefined;
  if (Number.isInteger(gpus.count) && gpus.count >= 0 && gpus.count <= largestSize) {
    return { count: gpus.count, productName: gpus.product_name ?? null };
  }
  throw new InvalidRequestError(["body", "gpus", "count"], "Must be a whole number, 0 or more.");
}

/** 16 TiB in MB. No machine is larger. */
const largestSize = 2 ** 24;

/** Accepts whole numbers only; clients may send them as floats. @throws InvalidRequestError */
export function parseSize(value: number | null | undefined, field: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (Number.isInteger(value) && value > 0 && value <= largestSize) return value;
  throw new InvalidRequestError(["body", field], "Must be a positive whole number.");
}

/** An older Go client sends the names as one comma-separated text. */
function parseNames(value: unknown): readonly string[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "string") return value.split(",").map((name) => name.trim());
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw new InvalidRequestError(["body", "env_keys"], "Must be a list of names.");
}

/** Whether the client only wants to prepare an update. @throws InvalidRequestError */
export function parsePrepareOnly(headers: Source["headers"]): boolean {
  return parseFlagHeader(headers, headerNames.prepareOnly);
}

/** @throws InvalidRequestError */
export function parseChangeContext({ id, headers }: Pick<Source, "headers"> & { readonly id: string }): ChangeContext {
  return { correlationId: id, mayReplace: parseFlagHeader(headers, replacePendingHeader) };
}

/** @throws InvalidRequestError */
function parseFlagHeader(headers: Source["headers"], name: string): boolean {
  const header = String(headers[name.toLowerCase()] ?? "").toLowerCase();
  if (["true", "1"].includes(header)) return true;
  if (["", "false", "0"].includes(header)) return false;
  throw new InvalidRequestError(["header", name], "Must be true or false.");
}

const knownParts = z.looseObject({
  hostname: z.string().nullish().catch(null),
  default_gateway_domain: z.string().nullish().catch(null),
  ssh_authorized_keys: z.array(z.string()).nullish().catch(null),
});

/** The parts of a user config that the API knows. The owner's text may be anything; the guest gets it unchanged. */
export function parseUserConfig(text: string | null): UserConfig {
  const known = knownParts.safeParse(parseJson(text ?? "{}")).data;
  return {
    hostname: known?.hostname ?? null,
    default_gateway_domain: known?.default_gateway_domain ?? null,
    ssh_authorized_keys: known?.ssh_authorized_keys ?? [],
  };
}

interface Source {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** The field names of a confirmation: those of the Go client, then those of the update guide. */
const confirmationFields = {
  composeHash: ["compose_hash", "composeHash"],
  transactionHash: ["transaction_hash", "transactionHash"],
} as const;

/**
 * Reads the confirmation in the headers or the body of a request.
 *
 * @throws InvalidRequestError when only one of the two values is present, or one is malformed
 */
export function parseConfirmation(source: Source): Confirmation | undefined {
  const { composeHash, transactionHash } = parseValues(source);
  return composeHash || transactionHash ? toConfirmation({ composeHash, transactionHash }) : undefined;
}

/**
 * Reads the confirmation of a request that must be one.
 *
 * @throws InvalidRequestError when a value is missing or malformed, or the body also asks for a change
 */
export function requireConfirmation(source: Source): Confirmation {
  const confirmation = toConfirmation(parseValues(source));
  const field = findChangeField(source.body);
  if (field === undefined) return confirmation;
  throw new InvalidRequestError(["body", field], "A confirmation changes nothing else. Send changes to PATCH.");
}

/**
 * Reads a commit token, from the body or the URL, and the proof that its hash is registered. Empty texts count as
 * missing.
 *
 * @throws InvalidRequestError
 */
export function parseTokenCommit(body: CommitUpdateRequest, tokenInUrl: string | undefined): TokenCommit {
  const { compose_hash: hash, transaction_hash: transaction } = body;
  return {
    token: requireToken(body.token || tokenInUrl),
    composeHash: hash ? parseComposeHashField(hash, ["body", "compose_hash"]) : undefined,
    transactionHash: transaction ? parseTransactionHashField(transaction, ["body", "transaction_hash"]) : undefined,
  };
}

/** @throws InvalidRequestError */
export function requireToken(token: string | undefined): string {
  if (!token) throw new InvalidRequestError(["query", "token"], "Field required", "missing");
  return token;
}

interface Values {
  readonly composeHash: Value | undefined;
  readonly transactionHash: Value | undefined;
}

interface Value {
  readonly value: string;
  readonly location: readonly string[];
}

function parseValues(source: Source): Values {
  return {
    composeHash: parseValue(source, headerNames.composeHash, confirmationFields.composeHash),
    transactionHash: parseValue(source, headerNames.transactionHash, confirmationFields.transactionHash),
  };
}

/** @throws InvalidRequestError */
function toConfirmation({ composeHash, transactionHash }: Values): Confirmation {
  if (!composeHash) throw missing("compose_hash");
  if (!transactionHash) throw missing("transaction_hash");
  return {
    composeHash: parseComposeHashField(composeHash.value, composeHash.location),
    transactionHash: parseTransactionHashField(transactionHash.value, transactionHash.location),
  };
}

/** @throws InvalidRequestError */
function parseTransactionHashField(raw: string, location: readonly string[]): Confirmation["transactionHash"] {
  return raw === alreadyRegistered ? alreadyRegistered : parseAt(location, () => parseTransactionHash(raw));
}

/** @throws InvalidRequestError */
export function parseComposeHashField(raw: string, location: readonly string[]): ComposeHash {
  return parseAt(location, () => parseComposeHash(raw));
}

/**
 * Reads one value of a confirmation. An empty value counts as missing, because clients send it for unknown values.
 *
 * @throws InvalidRequestError when the body has two different values
 */
function parseValue({ headers, body }: Source, header: string, fields: readonly string[]): Value | undefined {
  const inHeader = headers[header.toLowerCase()];
  if (typeof inHeader === "string" && inHeader !== "") return { value: inHeader, location: ["header", header] };
  if (typeof body !== "object" || body === null) return undefined;
  const [first, second] = fields.flatMap((field) => {
    const value: unknown = Object.hasOwn(body, field) ? Reflect.get(body, field) : null;
    if (value === null || value === "") return [];
    if (typeof value !== "string") throw new InvalidRequestError(["body", field], "Must be a string.");
    return [{ value, location: ["body", field] }];
  });
  if (first && second && first.value !== second.value) {
    throw new InvalidRequestError(second.location, `Differs from ${first.location.join(".")}.`);
  }
  return first;
}

function missing(field: string): InvalidRequestError {
  return new InvalidRequestError(["body", field], `A confirmation needs ${field} too.`, "missing");
}

/** Turns an error of a core parser into the answer for a malformed request. */
export function parseAt<Result>(location: readonly string[], parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (isDstackError(error)) throw new InvalidRequestError(location, error.message);
    throw error;
  }
}

/** The members that have a value. Clients send null for what should not change. */
export function definedOnly<Values extends object>(
  values: Values,
): { [Key in keyof Values]?: NonNullable<Values[Key]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof Values]?: NonNullable<Values[Key]> }; // filtered just now
}
