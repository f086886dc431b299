import { errorCodes } from "../../cloud/protocol.ts";
import { ApiError } from "../errors.ts";

export interface InstanceType {
  readonly name: string;
  readonly vcpu: number;
  readonly memoryMb: number;
}

const instanceTypes: readonly InstanceType[] = [
  { name: "tdx.small", vcpu: 1, memoryMb: 2048 },
  { name: "tdx.medium", vcpu: 2, memoryMb: 4096 },
  { name: "tdx.large", vcpu: 4, memoryMb: 8192 },
  { name: "tdx.xlarge", vcpu: 8, memoryMb: 16_384 },
];

/** @throws ApiError 400 */
export function findInstanceType(name: string): InstanceType {
  const type = instanceTypes.find((candidate) => candidate.name === name);
  if (!type) throw new ApiError(400, errorCodes.instanceTypeNotFound, `There is no instance type ${name}.`);
  return type;
}
