import {
  alreadyRegistered,
  type CommitInstanceRequest,
  type CreateAppInstanceRequest,
  headerNames,
  type ReplicateCvmRequest,
} from "../../cloud/protocol.ts";
import { parseTransactionHash } from "../../core/ids.ts";
import { InvalidRequestError } from "../errors.ts";
import type { InstanceCommit, InstanceRequest } from "../services/instances.ts";
import { parseAt } from "./parse-at.ts";
import { readEncryptedEnv } from "./read-change.ts";
import { readComposeHash } from "./read-confirmation.ts";
import { readCvmName } from "./read-provision.ts";

interface Source {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly id: string;
}

/** @throws InvalidRequestError */
export function readReplicaRequest(body: ReplicateCvmRequest, { headers, id }: Source): InstanceRequest {
  const { compose_hash: hash } = body;
  return {
    nodeId: body.node_id ?? undefined,
    composeHash: hash ? readComposeHash(hash, ["body", "compose_hash"]) : undefined,
    encryptedEnv: readEncryptedEnv(body.encrypted_env),
    isPrepareOnly: String(headers[headerNames.prepareOnly.toLowerCase()]).toLowerCase() === "true",
    correlationId: id,
  };
}

/** @throws InvalidRequestError */
export function readInstanceRequest(body: CreateAppInstanceRequest, source: Source): InstanceRequest {
  return {
    ...readReplicaRequest(body, source),
    name: body.name ? readCvmName(body.name) : undefined,
    compose: {
      dockerCompose: body.docker_compose_file ?? undefined,
      preLaunchScript: body.pre_launch_script ?? undefined,
    },
  };
}

/**
 * A token, in the body or the URL, and what proves that its hash is registered. Empty texts count as left out.
 *
 * @throws InvalidRequestError
 */
export function readInstanceCommit(
  body: CommitInstanceRequest,
  tokenInUrl: string | undefined,
  correlationId: string,
): InstanceCommit {
  const token = body.token || tokenInUrl;
  if (!token) throw new InvalidRequestError(["body", "token"], "Field required", "missing");
  const { compose_hash: hash, transaction_hash: transaction } = body;
  return {
    token,
    composeHash: hash ? readComposeHash(hash, ["body", "compose_hash"]) : undefined,
    transactionHash: transaction ? readTransactionHash(transaction) : undefined,
    correlationId,
  };
}

function readTransactionHash(raw: string) {
  if (raw === alreadyRegistered) return alreadyRegistered;
  return parseAt(["body", "transaction_hash"], () => parseTransactionHash(raw));
}
