import { parseAppCompose } from "../../core/app-compose.ts";
import { decryptEnvironment, type EnvironmentVariable } from "../../core/environment.ts";
import type { Hex } from "../../core/ids.ts";
import type { Workload } from "../store/cvms.ts";

/**
 * The environment as the guest sees it: decrypted with the app's key, without the names its document does not allow.
 * Computed where it is needed and kept nowhere, so the store holds ciphertext only.
 *
 * @throws EnvironmentDecryptionError, InvalidEnvironmentError
 */
export function openGuestEnvironment(workload: Workload, privateKey: Hex): EnvironmentVariable[] {
  if (workload.encryptedEnv === null) return [];
  const allowed = new Set(parseAppCompose(workload.composeText).allowed_envs ?? []);
  return decryptEnvironment(workload.encryptedEnv, privateKey).filter(({ key }) => allowed.has(key));
}
