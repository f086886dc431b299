import { type Hex, parseFixedHex } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { cvmDetail20260121Schema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetCvmOsImageParameters {
  readonly cvm: string;
}

/** The first version whose answer has the OS image hash. */
const apiVersion = "2026-01-21";

/**
 * Reads the hash of the OS image a CVM boots, 32 bytes; undefined if the cloud does not know it.
 *
 * @throws CloudError
 *
 * @example
 * import { getCvmOsImage } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const osImageHash = await getCvmOsImage(cloud, { cvm: "my-app" });
 */
export async function getCvmOsImage(client: CloudClient, { cvm }: GetCvmOsImageParameters): Promise<Hex | undefined> {
  return readJson(client, { path: apiPath`/cvms/${cvm}`, apiVersion }, (body) => {
    const hash = cvmDetail20260121Schema.parse(body).os?.os_image_hash;
    return hash ? parseFixedHex("An OS image hash", hash, 32) : undefined;
  });
}

export const safeGetCvmOsImage = safe(getCvmOsImage);
