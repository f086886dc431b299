import { randomBytes, randomUUID } from "node:crypto";
import type { Hex } from "../../core/ids.ts";

/** The names a new CVM has for good, beside the number its row gets. */
export function newCvmIds(): { readonly hashid: string; readonly vmUuid: string; readonly instanceId: Hex } {
  return {
    hashid: `cvm_${randomBytes(6).toString("base64url").replace(/[-_]/g, "0")}`,
    vmUuid: randomUUID(),
    instanceId: `0x${randomBytes(20).toString("hex")}`,
  };
}
