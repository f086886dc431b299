import { verifyEncryptionKey } from "../core/encryption-key-signature.ts";
import { type AppId, type Hex, parseFixedHex, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { timestampedAppPublicKeySchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetAppEncryptionKeyParameters {
  /** Id or slug of the KMS. */
  readonly kms: string;
  readonly appId: AppId;
  /**
   * secp256k1 public key of the KMS, 33 bytes, from a DstackKms that you trust or pinned. The answer must be signed by
   * it. Without it, only the cloud vouches for the encryption key, and the cloud may be able to read what is encrypted
   * to it.
   */
  readonly expectedKmsPublicKey?: Hex | undefined;
}

export interface AppEncryptionKey {
  /** x25519, 32 bytes. */
  readonly publicKey: Hex;
  /** secp256k1 signature of the key and the app's id: r ‖ s ‖ recovery id, 65 bytes. */
  readonly signature: Hex;
  /** The signed time, in Unix seconds. Absent in the older format, whose signatures never expire. */
  readonly timestamp?: bigint | undefined;
}

/**
 * Reads the key that an app's environment is encrypted to. If the answer has a signature with a timestamp, uses that
 * one.
 *
 * @throws UntrustedEncryptionKeyError if the expected KMS key did not sign this app's key, or signed it too long ago
 * @throws CloudError
 *
 * @example
 * import { getAppEncryptionKey } from "dstack-toolkit/cloud";
 * import { appId, cloud, kmsPublicKey } from "./app.js";
 * const { publicKey } = await getAppEncryptionKey(cloud, {
 *   kms: "kms-base-1",
 *   appId,
 *   expectedKmsPublicKey: kmsPublicKey,
 * });
 */
export async function getAppEncryptionKey(
  client: CloudClient,
  { kms, appId, expectedKmsPublicKey }: GetAppEncryptionKeyParameters,
): Promise<AppEncryptionKey> {
  const path = apiPath`/kms/${kms}/pubkey/${withoutPrefix(appId)}`;
  const key = await readJson(client, { path }, (body): AppEncryptionKey => {
    const { public_key, signature, signature_v1, timestamp } = timestampedAppPublicKeySchema.parse(body);
    const isTimed = typeof signature_v1 === "string" && typeof timestamp === "number";
    return {
      publicKey: parseFixedHex("An encryption key", public_key, 32),
      signature: parseFixedHex("A signature", isTimed ? signature_v1 : signature, 65),
      ...(isTimed && { timestamp: BigInt(timestamp) }),
    };
  });
  if (expectedKmsPublicKey !== undefined) {
    const now = BigInt(Math.floor(Date.now() / 1000));
    verifyEncryptionKey({ ...key, appId, expectedSigner: expectedKmsPublicKey, now });
  }
  return key;
}

export const safeGetAppEncryptionKey = safe(getAppEncryptionKey);
