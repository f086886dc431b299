import { cleanText } from "../core/text.ts";
import type { CloudClient } from "./create-client.ts";
import { vmSchema } from "./protocol.ts";
import { apiPath, parseReply, safe } from "./replies.ts";

export interface StopCvmParameters {
  /** `cvm_…`, UUID, `app_…`, `0x` app address, `instance_…` or a unique name. */
  readonly cvm: string;
}

/**
 * Stops a CVM. The cloud answers before the CVM is stopped; poll `getCvm` until its status is `stopped`. A stopped CVM
 * keeps its disk, and asks the KMS for its keys again when it is started.
 *
 * @returns the CVM's status as the cloud reports it now, such as `stopping`
 * @throws CvmBusyError while another operation runs, and other CloudErrors
 *
 * @example
 * import { stopCvm } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const { status } = await stopCvm(cloud, { cvm: "my-app" });
 */
export async function stopCvm(client: CloudClient, { cvm }: StopCvmParameters): Promise<{ readonly status: string }> {
  const reply = await client.request({ method: "POST", path: apiPath`/cvms/${cvm}/stop` });
  return parseReply(reply, (body) => ({ status: cleanText(vmSchema.pick({ status: true }).parse(body).status) }));
}

export const safeStopCvm = safe(stopCvm);
