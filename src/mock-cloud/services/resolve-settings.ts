import { errorCodes } from "../../cloud/protocol.ts";
import { ApiError } from "../errors.ts";
import type { CvmSettings } from "../store/cvms.ts";
import type { Platform } from "../store/platform.ts";
import { findInstanceType } from "./instance-types.ts";

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
