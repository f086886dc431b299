import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { getCvmOsImage } from "../cloud/get-cvm-os-image.ts";
import { getCvmState } from "../cloud/get-cvm-state.ts";
import { apiPath } from "../cloud/replies.ts";
import type { ComposeHash } from "../core/ids.ts";
import type { CvmMachine } from "./boot-verdicts.ts";

/** What a restart of a CVM did in the mock cloud. */
export interface Reboot {
  readonly id: string;
  readonly name: string;
  /** Whether it runs again, with the hash that it was to run. */
  readonly isRunning: boolean;
  readonly status: string;
  readonly composeHash: ComposeHash | undefined;
  /** Why it did not boot, in the cloud's words. */
  readonly bootError: string | undefined;
}

export interface RebootCvmsParameters {
  readonly cvms: readonly Pick<CvmMachine, "id" | "name" | "composeHash">[];
  /** Resolves once the mock cloud has no operation left. */
  readonly whenIdle: () => Promise<void>;
}

/**
 * Restarts CVMs of the mock cloud one after the other, and starts stopped ones. The mock cloud asks the KMS of its chain
 * for each boot.
 *
 * @throws CloudError
 */
export async function rebootCvms(
  cloud: CloudClient,
  { cvms, whenIdle }: RebootCvmsParameters,
): Promise<readonly Reboot[]> {
  const reboots: Reboot[] = [];
  for (const { id, name, composeHash: wanted } of cvms) {
    await cloud.request({ method: "POST", path: apiPath`/cvms/${id}/restart`, json: {} });
    await whenIdle();
    const [{ composeHash, status }, { bootError }] = await Promise.all([
      getCvm(cloud, { cvm: id }),
      getCvmState(cloud, { cvm: id }),
    ]);
    const isRunning = status === "running" && bootError === undefined && composeHash === wanted;
    reboots.push({ id, name, isRunning, status, composeHash, bootError });
  }
  return reboots;
}

/** CVMs as the machines that they are, and the names of those whose hash, device or OS image the cloud does not tell. */
export interface ReadMachinesReturnType {
  readonly machines: readonly CvmMachine[];
  readonly unknown: readonly string[];
}

/** @throws CloudError */
export async function readMachines(cloud: CloudClient, cvms: readonly Cvm[]): Promise<ReadMachinesReturnType> {
  const all = await Promise.all(
    cvms.map(async ({ id, name, status, composeHash, deviceId }) => {
      const osImageHash = await getCvmOsImage(cloud, { cvm: id });
      const isKnown = composeHash !== undefined && deviceId !== undefined && osImageHash !== undefined;
      return isKnown ? { id, name, status, composeHash, deviceId, osImageHash } : name;
    }),
  );
  return {
    machines: all.filter((one) => typeof one !== "string"),
    unknown: all.filter((one) => typeof one === "string"),
  };
}
