import { createHash, randomBytes, randomInt, randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { SshKey, SshKeys } from "../store/small-tables.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";

/**
 * Stores a public key given as one line of `authorized_keys`.
 *
 * @throws InvalidRequestError, or ApiError 409 when the user has this key already
 */
export function addSshKey(
  keys: SshKeys,
  clock: Clock,
  user: Principal,
  { name, publicKey }: { readonly name: string; readonly publicKey: string },
): SshKey {
  const key = {
    id: `sshkey_${randomBytes(9).toString("hex")}`,
    name,
    ...readPublicKey(publicKey),
    createdAt: clock.now(),
  };
  if (keys.ofUser(user).some(({ fingerprint }) => fingerprint === key.fingerprint)) {
    throw new ApiError(409, undefined, `The SSH key ${key.fingerprint} is there already.`);
  }
  keys.insert(user, key);
  return key;
}

/** @throws ApiError 404 */
export function removeSshKey(keys: SshKeys, user: Principal, id: string): void {
  if (!keys.ofUser(user).some((key) => key.id === id)) {
    throw new ApiError(404, undefined, `There is no SSH key ${id}.`);
  }
  keys.delete(id);
}

/** The blob starts with the length and the name of its key type. A type that differs from it is rejected. */
function readPublicKey(raw: string): Pick<SshKey, "publicKey" | "keyType" | "fingerprint"> {
  const publicKey = raw.trim();
  const [keyType = "", base64 = ""] = publicKey.split(/[ \t]+/);
  const blob = Buffer.from(base64, "base64");
  const typeLength = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  const isWhole =
    blob.length > 4 + typeLength && blob.toString("base64").replace(/=+$/, "") === base64.replace(/=+$/, "");
  if (/[\r\n]/.test(publicKey) || keyType === "" || !isWhole || blob.toString("ascii", 4, 4 + typeLength) !== keyType) {
    throw new InvalidRequestError(["body", "public_key"], "Must be one line of OpenSSH: type, base64 and a comment.");
  }
  const fingerprint = `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
  return { publicKey, keyType, fingerprint };
}

/** The store keeps this hash of an API key. Keys are long and random, so a plain hash reveals nothing. */
export function hashApiKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

const lifetimeSeconds = 600;

export interface StartedLogin {
  readonly deviceCode: string;
  /** The code that a person would type, such as `BCDF-GHJK`. */
  readonly userCode: string;
  readonly lifetimeSeconds: number;
}

/** An API key, or the RFC 8628 error code. */
export type FinishedLogin =
  | { readonly kind: "approved"; readonly apiKey: string }
  | { readonly kind: "refused"; readonly error: "invalid_grant" | "expired_token" | "access_denied" };

/** Starts the login of a device. It needs no approval, because the mock cloud has no human users. */
export function startDeviceLogin(store: Store, clock: Clock): StartedLogin {
  const deviceCode = randomBytes(32).toString("base64url");
  store.deviceLogins.insert(hash(deviceCode), clock.now() + lifetimeSeconds * 1000);
  return { deviceCode, userCode: `${userCodePart()}-${userCodePart()}`, lifetimeSeconds };
}

/** Finishes a login: creates an API key for the user and workspace of the oldest API key. Each code works once. */
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

// No vowels, so that no code spells a word.
function userCodePart(): string {
  const letters = "BCDFGHJKLMNPQRSTVWXZ";
  return Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join("");
}

/**
 * Creates a token that lets its holder commit a prepared update. Only its hash is stored, so the store reveals no token.
 */
export function createCommitToken(): { readonly token: string; readonly tokenHash: string } {
  const token = randomUUID();
  return { token, tokenHash: hashCommitToken(token) };
}

/** A plain hash is enough: the token has 122 random bits. */
export function hashCommitToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
