import { createHash } from "node:crypto";
import { type AppId, parseAppId } from "../../core/ids.ts";

/** The app id that a workspace gets for a nonce on an off-chain KMS. Anybody can tell it beforehand. */
export function deriveAppId(workspaceId: string, nonce: number): AppId {
  return parseAppId(createHash("sha256").update(`${workspaceId} ${nonce}`).digest("hex").slice(0, 40));
}
