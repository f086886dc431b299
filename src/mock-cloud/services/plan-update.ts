import { isDeepStrictEqual } from "node:util";
import { type AppComposeChanges, changeAppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { hashAppComposeText, writeAppCompose } from "../../core/compose-hash.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Cvm, CvmSettings, Workload } from "../store/cvms.ts";
import type { Platform } from "../store/platform.ts";
import { chooseSize, refuseSmallerDisk, requireOsImage } from "./fleet.ts";

/** The changes that a request asks for. Fields that are left out stay as they are. */
export interface UpdateChange {
  readonly compose?: AppComposeChanges;
  /** More keys of the app-compose document, copied unchanged. */
  readonly manifest?: JsonObject;
  /** Replaces the whole environment. */
  readonly encryptedEnv?: string | undefined;
  readonly settings?: Partial<CvmSettings>;
  /** False refuses a change that would restart a running CVM. @default true */
  readonly isRestartAllowed?: boolean | undefined;
}

export interface UpdatePlan {
  readonly workload: Workload;
  /** A new document has a new hash, and an on-chain KMS must allow that hash first. */
  readonly isComposeChanged: boolean;
  readonly isNoChange: boolean;
}

/**
 * Computes what the CVM would run after the change. If the document does not change, its text stays the same byte for
 * byte, and so does its hash.
 *
 * @throws InvalidAppComposeError, PayloadTooLargeError, InvalidEnvironmentError
 */
export function planUpdate(current: Workload, change: UpdateChange): UpdatePlan {
  const before = parseAppCompose(current.composeText);
  const after = changeAppCompose({ ...before, ...change.manifest }, change.compose ?? {});
  const text = writeAppCompose(after);
  const isComposeChanged = text !== writeAppCompose(before);
  const composeText = isComposeChanged ? text : current.composeText;
  const settings = { ...current.settings, ...change.settings };
  const isSettingsChanged = !isDeepStrictEqual(settings, current.settings);
  return {
    workload: {
      composeText,
      composeHash: hashAppComposeText(composeText),
      encryptedEnv: change.encryptedEnv ?? current.encryptedEnv,
      settings,
    },
    isComposeChanged,
    isNoChange: !isComposeChanged && !isSettingsChanged && change.encryptedEnv === undefined,
  };
}

/** Whether the guest accepts the same names of variables. Their order does not count. */
export function isSameAllowedEnvs(composeText: string, otherText: string): boolean {
  const [names, others] = [allowedEnvs(composeText), allowedEnvs(otherText)];
  return isDeepStrictEqual([...names].sort(), [...others].sort());
}

function allowedEnvs(composeText: string): readonly string[] {
  return parseAppCompose(composeText).allowed_envs ?? [];
}

/**
 * Checks the requested settings against what the platform offers, and adds those that follow from them.
 *
 * @throws ApiError 400
 */
export function resolveSettings(
  platform: Platform,
  { name, settings }: Pick<Cvm, "name" | "settings">,
  wanted: Partial<CvmSettings>,
): Partial<CvmSettings> {
  if (wanted.osImage !== undefined) requireOsImage(platform, wanted.osImage);
  refuseSmallerDisk(name, settings, { ...settings, ...wanted });
  const isSized = [wanted.instanceType, wanted.vcpu, wanted.memoryMb].some((value) => value !== undefined);
  return isSized ? { ...wanted, ...chooseSize(settings, wanted) } : wanted;
}
