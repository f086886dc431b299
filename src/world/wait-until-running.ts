import { setTimeout as sleep } from "node:timers/promises";
import type { CloudClient } from "../cloud/create-client.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { getCvmState } from "../cloud/get-cvm-state.ts";
import { RolloverFailedError } from "../errors/index.ts";

export interface WaitUntilRunningParameters {
  readonly cvm: string;
  readonly signal?: AbortSignal | undefined;
}

/** @throws RolloverFailedError if the CVM comes to rest in any other state */
export async function waitUntilRunning(cloud: CloudClient, { cvm, signal }: WaitUntilRunningParameters): Promise<void> {
  for (;;) {
    const { status, busy } = await getCvm(cloud, { cvm });
    if (status === "running" && !busy) return;
    if (!busy) {
      const { bootError } = await getCvmState(cloud, { cvm });
      throw new RolloverFailedError(cvm, bootError ?? `its status is ${status}`, undefined);
    }
    await sleep(50, undefined, { signal });
  }
}
