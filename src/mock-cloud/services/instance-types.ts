import { errorCodes } from "../../cloud/protocol.ts";
import { ApiError } from "../errors.ts";

export interface InstanceType {
  readonly name: string;
  readonly vcpu: number;
  readonly memoryMb: number;
  /** Dollars, as text. */
  readonly hourlyRate: string;
}

/** All of one family: no GPU is pretended to be here. */
export const instanceTypeFamily = "cpu";

/** Gigabytes a CVM gets when nobody says otherwise. */
export const defaultDiskGb = 40;

export const instanceTypes: readonly InstanceType[] = [
  { name: "tdx.small", vcpu: 1, memoryMb: 2048, hourlyRate: "0.058" },
  { name: "tdx.medium", vcpu: 2, memoryMb: 4096, hourlyRate: "0.116" },
  { name: "tdx.large", vcpu: 4, memoryMb: 8192, hourlyRate: "0.232" },
  { name: "tdx.xlarge", vcpu: 8, memoryMb: 16_384, hourlyRate: "0.464" },
];

/** @throws ApiError 400 */
export function findInstanceType(name: string): InstanceType {
  const type = instanceTypes.find((candidate) => candidate.name === name);
  if (!type) throw new ApiError(400, errorCodes.instanceTypeNotFound, `There is no instance type ${name}.`);
  return type;
}
