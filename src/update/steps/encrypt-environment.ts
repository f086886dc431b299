import { type EnvironmentVariable, encryptEnvironment as encrypt } from "../../core/environment.ts";
import type { KeyProof } from "../events.ts";
import { readTrustedKmsKey } from "../trust.ts";
import { during, type UpdateRun, type UpdateTarget } from "../update-run.ts";

export interface EncryptedEnvironment {
  /** Hex, as the cloud takes it. */
  readonly payload: string;
  readonly proof: KeyProof;
}

/**
 * Encrypts the environment for the CVM's app, to a key that the trusted KMS has signed for exactly this app. Undefined
 * where none is to be replaced.
 *
 * @throws UnprovenEncryptionKeyError, UntrustedEncryptionKeyError, ChainError, CloudError
 */
export async function encryptEnvironment(
  run: UpdateRun,
  target: UpdateTarget,
): Promise<EncryptedEnvironment | undefined> {
  const { cvm, environment } = run.request;
  if (environment === undefined) return undefined;
  return during(
    run,
    "encryptEnvironment",
    async () => {
      const { kmsPublicKey, proof } = await readTrustedKmsKey(run, target);
      const key = await run.cloud.readEncryptionKey(cvm, { appId: target.appId, kmsPublicKey });
      return { payload: encrypt(environment, key), proof };
    },
    ({ proof }) => ({ names: environment.map(({ key }) => key), appId: target.appId, proof }),
  );
}

/** Recognises the same variables with the same values later, in whatever order; null for "leave them alone". */
export function fingerprintEnvironment({ cloud, request }: UpdateRun): string | null {
  if (request.environment === undefined) return null;
  const pairs = request.environment.map(({ key, value }: EnvironmentVariable) => [key, value] as const);
  return cloud.fingerprint(JSON.stringify(["environment", pairs.sort(([a], [b]) => (a < b ? -1 : 1))]));
}
