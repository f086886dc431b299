import { type ComposeHash, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import type { CommitComposeFileRequest } from "./protocol.ts";
import { apiPath, safe } from "./replies.ts";

export interface CommitComposeFileParameters {
  readonly cvm: string;
  readonly composeHash: ComposeHash;
  /** Hex from `encryptEnvironment`. Replaces the whole environment. */
  readonly encryptedEnvironment?: string | undefined;
  readonly allowedEnvs?: readonly string[] | undefined;
}

/**
 * Makes a provisioned document the CVM's current one. With an on-chain KMS, the contract must already allow its hash.
 *
 * @throws HashExpiredError, HashNotAllowedError and other CloudErrors
 *
 * @example
 * import { commitComposeFile } from "dstack-toolkit/cloud";
 * import { cloud, composeHash } from "./app.js";
 * await commitComposeFile(cloud, { cvm: "my-app", composeHash });
 */
export async function commitComposeFile(
  client: CloudClient,
  { cvm, composeHash, encryptedEnvironment, allowedEnvs }: CommitComposeFileParameters,
): Promise<void> {
  const body: CommitComposeFileRequest = {
    compose_hash: withoutPrefix(composeHash),
    encrypted_env: encryptedEnvironment,
    env_keys: allowedEnvs && [...allowedEnvs],
    update_env_vars: encryptedEnvironment !== undefined,
  };
  await client.request({ method: "PATCH", path: apiPath`/cvms/${cvm}/compose_file`, json: body });
}

export const safeCommitComposeFile = safe(commitComposeFile);
