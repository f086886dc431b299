import { hkdfSync } from "node:crypto";
import { x25519 } from "@noble/curves/ed25519";
import { secp256k1 } from "@noble/curves/secp256k1";
import { bytesToHex, hexToBytes, keccak256, stringToBytes } from "viem";
import { hashEncryptionKeyStatement } from "../../core/encryption-key-signature.ts";
import { type AppId, type Hex, parseFixedHex } from "../../core/ids.ts";

export interface AppKey {
  /** x25519, 32 bytes. */
  readonly privateKey: Hex;
  readonly publicKey: Hex;
}

/** The root secret a KMS seed without one gets. Anybody can compute it: a mock's keys protect nothing. */
export function defaultRootSecret(slug: string): Hex {
  return keccak256(stringToBytes(`dstack-toolkit mock KMS ${slug}`));
}

/** @throws InvalidHexError */
export function parseRootSecret(raw: string): Hex {
  return parseFixedHex("A KMS root secret", raw, 32);
}

/** The key an app's environment is encrypted to: the same for every version of the app, as in a real KMS. */
export function deriveAppKey(rootSecret: Hex, appId: AppId): AppKey {
  const privateKey = derive(rootSecret, `app environment key ${appId}`);
  return { privateKey: bytesToHex(privateKey), publicKey: bytesToHex(x25519.getPublicKey(privateKey)) };
}

/** Compressed secp256k1 key that vouches for app keys; DstackKms publishes it as `k256Pubkey`. */
export function deriveSigningPublicKey(rootSecret: Hex): Hex {
  return bytesToHex(secp256k1.getPublicKey(signingKey(rootSecret), true));
}

/** r ‖ s ‖ recovery id over the app's public key, in the format without a timestamp. 65 bytes. */
export function signAppKey(rootSecret: Hex, appId: AppId, publicKey: Hex): Hex {
  const digest = hexToBytes(hashEncryptionKeyStatement({ appId, publicKey }));
  const signature = secp256k1.sign(digest, signingKey(rootSecret));
  return bytesToHex(Uint8Array.of(...signature.toCompactRawBytes(), signature.recovery));
}

function signingKey(rootSecret: Hex): Uint8Array {
  return derive(rootSecret, "signing key");
}

function derive(rootSecret: Hex, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", hexToBytes(rootSecret), "dstack-toolkit", purpose, 32));
}
