import { cleanText } from "../core/text.ts";
import type { CloudClient } from "./create-client.ts";
import { cvmStateSchema } from "./protocol.ts";
import { apiPath, parseReply, safe } from "./replies.ts";

export interface GetCvmStateParameters {
  readonly cvm: string;
}

export interface CvmRuntimeState {
  readonly status: string;
  readonly bootProgress: string | undefined;
  /** Why the last boot failed; the CVM then runs its previous compose. */
  readonly bootError: string | undefined;
}

/** Reads the runtime state of a CVM. @throws CloudError */
export async function getCvmState(client: CloudClient, { cvm }: GetCvmStateParameters): Promise<CvmRuntimeState> {
  const reply = await client.request({ method: "GET", path: apiPath`/cvms/${cvm}/state` });
  return parseReply(reply, (body) => {
    const { status, boot_progress, boot_error } = cvmStateSchema.parse(body);
    const bootError = cleanText(reply.clean(boot_error ?? "")) || undefined;
    return { status: cleanText(status), bootProgress: boot_progress, bootError };
  });
}

export const safeGetCvmState = safe(getCvmState);
