import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { SshKey, SshKeys } from "../store/ssh-keys.ts";
import type { Principal } from "../store/workspaces.ts";

/**
 * Takes a key in, as one line of `authorized_keys`.
 *
 * @throws InvalidRequestError, or ApiError 409 when the user has the key already
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

/** The blob starts with the length and name of its own type, so a type that does not fit is found out. */
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
