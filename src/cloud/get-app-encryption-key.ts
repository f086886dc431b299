import { verifyEncryptionKey } from "../core/encryption-key-signature.ts";
import { type Hex, parseFixedHex, withoutPrefix } from "../core/hex.ts";
import type { AppId } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { apiPath } from "./http/api-path.ts";
import { parseReply } from "./http/parse-reply.ts";
import { appPublicKeySchema } from "./protocol.ts";
import { safe } from "./safe.ts";

export interface GetAppEncryptionKeyParameters {
  /** Id or slug of the KMS. */
  readonly kms: string;
  readonly appId: AppId;
  /** Compressed secp256k1 public key of the KMS, 33 bytes: the answer must be signed by it. */
  readonly expectedKmsPublicKey?: Hex | undefined;
}

export interface AppEncryptionKey {
  /** x25519, 32 bytes. */
  readonly publicKey: Hex;
  /** secp256k1 over the key and the app's id: r ‖ s ‖ recovery id, 65 bytes. */
  readonly signature: Hex;
}

/**
 * Reads the key an app's environment is encrypted to.
 *
 * @throws UntrustedEncryptionKeyError if a KMS key is expected and it did not sign
 * @throws CloudError
 */
export async function getAppEncryptionKey(
  client: CloudClient,
  { kms, appId, expectedKmsPublicKey }: GetAppEncryptionKeyParameters,
): Promise<AppEncryptionKey> {
  const path = apiPath`/kms/${kms}/pubkey/${withoutPrefix(appId)}`;
  const reply = await client.request({ method: "GET", path });
  const key = parseReply(reply, (body) => {
    const { public_key, signature } = appPublicKeySchema.parse(body);
    return {
      publicKey: parseFixedHex("An encryption key", public_key, 32),
      signature: parseFixedHex("A signature", signature, 65),
    };
  });
  if (expectedKmsPublicKey !== undefined) {
    verifyEncryptionKey({ ...key, appId, expectedSigner: expectedKmsPublicKey });
  }
  return key;
}

export const safeGetAppEncryptionKey = safe(getAppEncryptionKey);
