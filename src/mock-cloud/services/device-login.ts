import { createHash, randomBytes, randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { hashApiKey } from "./api-keys.ts";

const lifetimeSeconds = 600;

export interface StartedLogin {
  readonly deviceCode: string;
  /** What a person would type, such as `BCDF-GHJK`. */
  readonly userCode: string;
  readonly lifetimeSeconds: number;
}

/** An API key, or the word of RFC 8628 for why there is none. */
export type FinishedLogin =
  | { readonly kind: "approved"; readonly apiKey: string }
  | { readonly kind: "refused"; readonly error: "invalid_grant" | "expired_token" | "access_denied" };

/** Starts the login of a device. Nobody has to approve it: there are no people behind this cloud. */
export function startDeviceLogin(store: Store, clock: Clock): StartedLogin {
  const deviceCode = randomBytes(32).toString("base64url");
  store.deviceLogins.insert(hash(deviceCode), clock.now() + lifetimeSeconds * 1000);
  return { deviceCode, userCode: `${userCodePart()}-${userCodePart()}`, lifetimeSeconds };
}

/** Ends it with a new API key of the user and workspace whose key came first. Works once. */
export function finishDeviceLogin(store: Store, clock: Clock, deviceCode: string): FinishedLogin {
  return store.transaction(() => {
    const expiry = store.deviceLogins.expiryOf(hash(deviceCode));
    if (expiry === undefined) return { kind: "refused", error: "invalid_grant" };
    store.deviceLogins.delete(hash(deviceCode));
    if (clock.now() >= expiry) return { kind: "refused", error: "expired_token" };
    const user = store.workspaces.firstPrincipal();
    if (!user) return { kind: "refused", error: "access_denied" };
    const apiKey = `phak_${randomBytes(24).toString("hex")}`;
    store.workspaces.saveApiKey(hashApiKey(apiKey), user.workspace.id, user.username, user.email);
    return { kind: "approved", apiKey };
  });
}

function hash(deviceCode: string): string {
  return createHash("sha256").update(deviceCode).digest("hex");
}

// No vowels, so no words.
function userCodePart(): string {
  const letters = "BCDFGHJKLMNPQRSTVWXZ";
  return Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join("");
}
