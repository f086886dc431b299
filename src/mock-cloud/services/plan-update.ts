import { isDeepStrictEqual } from "node:util";
import { errorCodes } from "../../cloud/protocol.ts";
import { type AppComposeChanges, changeAppCompose, parseAppCompose } from "../../core/app-compose.ts";
import { hashAppComposeText, writeAppCompose } from "../../core/compose-hash.ts";
import type { JsonObject } from "../../core/json.ts";
import { ApiError } from "../errors.ts";
import type { CvmSettings, Workload } from "../store/cvms.ts";
import type { Platform } from "../store/platform.ts";
import { findInstanceType } from "./fleet.ts";

/** What a request wants changed; what is left out stays. */
export interface UpdateChange {
  readonly compose?: AppComposeChanges;
  /** Further keys of the app-compose document, as they are. */
  readonly manifest?: JsonObject;
  /** Replaces the environment as a whole. */
  readonly encryptedEnv?: string | undefined;
  readonly settings?: Partial<CvmSettings>;
  /** False refuses a change that a running CVM would have to boot for. @default true */
  readonly isRestartAllowed?: boolean | undefined;
}

export interface UpdatePlan {
  readonly workload: Workload;
  /** A new document means a new hash, which an on-chain KMS must be told of first. */
  readonly isComposeChanged: boolean;
  readonly isNoChange: boolean;
}

/**
 * What the CVM would run after the change. The current document's text stays byte for byte where nothing in it
 * changes, so its hash does too.
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

export function isSameAllowedEnvs(composeText: string, otherText: string): boolean {
  return isDeepStrictEqual(allowedEnvs(composeText), allowedEnvs(otherText));
}

function allowedEnvs(composeText: string): readonly string[] {
  return parseAppCompose(composeText).allowed_envs ?? [];
}

/**
 * Wanted settings, checked against what the platform offers. An instance type brings its size with it.
 *
 * @throws ApiError 400
 */
export function resolveSettings(platform: Platform, wanted: Partial<CvmSettings>): Partial<CvmSettings> {
  if (wanted.osImage !== undefined && !platform.findOsImage(wanted.osImage)) {
    throw new ApiError(400, errorCodes.imageNotFound, `There is no OS image ${wanted.osImage}.`);
  }
  if (wanted.instanceType === undefined) return wanted;
  const { vcpu, memoryMb } = findInstanceType(wanted.instanceType);
  return { vcpu, memoryMb, ...wanted };
}
