import { type EnvironmentVariable, encryptEnvironment as encrypt } from "../../core/environment.ts";
import { during, type UpdateRun } from "../update-run.ts";

/** @throws UntrustedEncryptionKeyError */
export async function encryptEnvironment(run: UpdateRun): Promise<string | undefined> {
  const { cvm, environment, expectedKmsPublicKey } = run.request;
  if (environment === undefined) return undefined;
  return during(
    run,
    "encryptEnvironment",
    async () => encrypt(environment, await run.cloud.readEncryptionKey(cvm, expectedKmsPublicKey)),
    () => ({ names: environment.map(({ key }) => key) }),
  );
}

/** Recognises the same variables with the same values later, in whatever order; null for "leave them alone". */
export function fingerprintEnvironment({ cloud, request }: UpdateRun): string | null {
  if (request.environment === undefined) return null;
  const pairs = request.environment.map(({ key, value }: EnvironmentVariable) => [key, value] as const);
  return cloud.fingerprint(JSON.stringify(["environment", pairs.sort(([a], [b]) => (a < b ? -1 : 1))]));
}
