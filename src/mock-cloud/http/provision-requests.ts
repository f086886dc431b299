import {
  type CreateAppInstanceRequest,
  type CreateCvmRequest,
  errorCodes,
  type ProvisionCvmRequest,
  type ReplicateCvmRequest,
} from "../../cloud/protocol.ts";
import { parseAppId, parseFixedHex } from "../../core/ids.ts";
import type { JsonObject } from "../../core/json.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { InstanceRequest } from "../services/instances.ts";
import type { CreateRequest, ProvisionRequest } from "../services/provisioning.ts";
import {
  definedOnly,
  parseAt,
  parseComposeHashField,
  parseEncryptedEnv,
  parsePrepareOnly,
  parseSize,
} from "./requests.ts";

/** @throws InvalidRequestError, or ApiError 400 if there is no compose file */
export function parseProvisionRequest(body: ProvisionCvmRequest): ProvisionRequest {
  const wanted = definedOnly(body);
  const appId = wanted.app_id ?? wanted.custom_app_id;
  const {
    name,
    docker_compose_file,
    pre_launch_script,
    allowed_envs,
    public_logs,
    public_sysinfo,
    public_tcbinfo,
    gateway_enabled,
    tproxy_enabled,
    ...manifest
  } = definedOnly(body.compose_file);
  if (!docker_compose_file) {
    throw new ApiError(400, errorCodes.composeFileRequired, "The compose file has no docker_compose_file.");
  }
  return {
    name: parseCvmName(body.name),
    compose: {
      name,
      dockerCompose: docker_compose_file,
      preLaunchScript: pre_launch_script,
      allowedEnvs: allowed_envs ?? wanted.env_keys,
      publicLogs: public_logs,
      publicSysinfo: public_sysinfo,
      publicTcbinfo: public_tcbinfo,
      gatewayEnabled: gateway_enabled ?? (typeof tproxy_enabled === "boolean" ? tproxy_enabled : undefined),
    },
    manifest: manifest as JsonObject, // it came in as JSON
    kms: wanted.kms_contract ?? wanted.kms_id ?? wanted.kms ?? wanted.kms_type,
    nodeId: wanted.teepod_id ?? wanted.node_id,
    region: wanted.region,
    osImage: wanted.image,
    preferDev: wanted.prefer_dev,
    instanceType: wanted.instance_type,
    vcpu: parseSize(wanted.vcpu, "vcpu"),
    memoryMb: parseSize(wanted.memory, "memory"),
    diskGb: parseSize(wanted.disk_size, "disk_size"),
    listed: wanted.listed,
    appId: appId === undefined ? undefined : parseAt(["body", "app_id"], () => parseAppId(appId)),
    nonce: wanted.nonce,
  };
}

/** @throws InvalidRequestError */
export function parseCreateRequest(body: CreateCvmRequest): CreateRequest {
  const { deployer_address: deployer } = body;
  return {
    appId: parseAt(["body", "app_id"], () => parseAppId(body.app_id)),
    composeHash: parseComposeHashField(body.compose_hash, ["body", "compose_hash"]),
    encryptedEnv: parseEncryptedEnv(body.encrypted_env || null),
    kms: body.kms_id || undefined,
    deployerAddress: deployer
      ? parseAt(["body", "deployer_address"], () => parseFixedHex("A deployer address", deployer, 20))
      : undefined,
  };
}

/** @throws InvalidRequestError */
export function parseCvmName(raw: string): string {
  if (/^[a-zA-Z](?!.*--)[a-zA-Z0-9-]{3,61}[a-zA-Z0-9]$/.test(raw)) return raw;
  throw new InvalidRequestError(
    ["body", "name"],
    "Must be 5 to 63 letters, digits and single hyphens, and start with a letter.",
  );
}

interface InstanceSource {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly id: string;
}

/** @throws InvalidRequestError */
export function parseReplicaRequest(body: ReplicateCvmRequest, { headers, id }: InstanceSource): InstanceRequest {
  const { compose_hash: hash } = body;
  return {
    nodeId: body.node_id ?? undefined,
    composeHash: hash ? parseComposeHashField(hash, ["body", "compose_hash"]) : undefined,
    encryptedEnv: parseEncryptedEnv(body.encrypted_env),
    isPrepareOnly: parsePrepareOnly(headers),
    correlationId: id,
  };
}

/** @throws InvalidRequestError */
export function parseInstanceRequest(body: CreateAppInstanceRequest, source: InstanceSource): InstanceRequest {
  return {
    ...parseReplicaRequest(body, source),
    name: body.name ? parseCvmName(body.name) : undefined,
    compose: {
      dockerCompose: body.docker_compose_file ?? undefined,
      preLaunchScript: body.pre_launch_script ?? undefined,
    },
  };
}
