import { secp256k1 } from "@noble/curves/secp256k1";
import { bytesToHex, concat, hexToBytes, keccak256, numberToHex, stringToHex } from "viem";
import { InvalidArgumentError, UntrustedEncryptionKeyError } from "../errors/index.ts";
import { type AppId, type Hex, parseFixedHex, withoutPrefix } from "./ids.ts";

/** The statement about an app's encryption key that a KMS signs. */
export interface EncryptionKeyStatement {
  readonly appId: AppId;
  /** The app's x25519 key. 32 bytes of hex. */
  readonly publicKey: string;
  /** Unix time in seconds. Absent in the legacy format, whose statements never expire. */
  readonly timestamp?: bigint | undefined;
}

/**
 * The Keccak-256 digest a KMS signs for this statement.
 *
 * @example
 * import { hashEncryptionKeyStatement } from "dstack-toolkit";
 * import { appId, publicKey } from "./app.js";
 * const digest = hashEncryptionKeyStatement({ appId, publicKey });
 */
export function hashEncryptionKeyStatement({ appId, publicKey, timestamp }: EncryptionKeyStatement): Hex {
  const key = parseFixedHex("An encryption key", publicKey, 32);
  const time = timestamp === undefined ? "0x" : numberToHex(timestamp, { size: 8 });
  return keccak256(concat([stringToHex("dstack-env-encrypt-pubkey:"), appId, time, key]));
}

export type RecoverEncryptionKeySignerParameters = EncryptionKeyStatement & {
  /** r, s and recovery id (0, 1, 27 or 28). 65 bytes of hex. */
  readonly signature: string;
};

/**
 * Returns the compressed secp256k1 public key (33 bytes) that signed a statement. Every well-formed signature yields
 * some key, so compare the result with the expected key before you trust the statement.
 *
 * @throws InvalidHexError
 * @throws UntrustedEncryptionKeyError if no key can have made the signature
 *
 * @example
 * import { recoverEncryptionKeySigner } from "dstack-toolkit";
 * import { appId, publicKey, signature } from "./app.js";
 * const signer = recoverEncryptionKeySigner({ appId, publicKey, signature });
 */
export function recoverEncryptionKeySigner(parameters: RecoverEncryptionKeySignerParameters): Hex {
  const signature = hexToBytes(parseFixedHex("A signature", parameters.signature, 65));
  const digest = hexToBytes(hashEncryptionKeyStatement(parameters));
  const recoveryId = recoveryIds.get(signature[64] ?? -1);
  if (recoveryId === undefined) throw untrusted("the recovery id is not 0, 1, 27 or 28");
  try {
    const point = secp256k1.Signature.fromCompact(signature.slice(0, 64))
      .addRecoveryBit(recoveryId)
      .recoverPublicKey(digest);
    return bytesToHex(point.toRawBytes(true));
  } catch (cause) {
    throw untrusted("the signature is malformed", cause);
  }
}

/**
 * Parses a KMS's secp256k1 public key, as DstackKms publishes it (`k256Pubkey`) or as the user pinned it: 33 bytes, or
 * 65 uncompressed. Returns the compressed form.
 *
 * @throws InvalidHexError
 * @throws InvalidArgumentError if no point of the curve has these coordinates
 *
 * @example
 * import { parseKmsPublicKey } from "dstack-toolkit";
 * const kmsPublicKey = parseKmsPublicKey(process.env.KMS_PUBLIC_KEY ?? "");
 */
export function parseKmsPublicKey(raw: string): Hex {
  const isUncompressed = /^(?:0x)?[0-9a-f]{130}$/i.test(raw);
  const key = parseFixedHex("A KMS public key", raw, isUncompressed ? 65 : 33);
  try {
    return bytesToHex(secp256k1.ProjectivePoint.fromHex(withoutPrefix(key)).toRawBytes(true));
  } catch {
    throw new InvalidArgumentError("The KMS public key is not a point of the curve secp256k1.", {
      nextStep: "Copy the complete key again: k256Pubkey of the DstackKms.",
    });
  }
}

export type VerifyEncryptionKeyParameters = RecoverEncryptionKeySignerParameters & {
  /** Public key of the KMS: 33 bytes of hex, or 65 uncompressed. */
  readonly expectedSigner: string;
  /** Unix time in seconds, needed to check a timestamped statement. */
  readonly now?: bigint | undefined;
  /** In seconds. @default 300 */
  readonly maxAge?: bigint | undefined;
};

/** How far a KMS's clock may be ahead of ours, in seconds. */
const maximumSkew = 60n;

/**
 * Checks that the expected KMS key signed an app's encryption key. If the statement has a timestamp, also checks that
 * it is recent.
 *
 * @throws InvalidHexError
 * @throws UntrustedEncryptionKeyError with the reason in its context
 *
 * @example
 * import { verifyEncryptionKey } from "dstack-toolkit";
 * import { appId, kmsPublicKey, publicKey, signature } from "./app.js";
 * verifyEncryptionKey({ appId, publicKey, signature, expectedSigner: kmsPublicKey });
 */
export function verifyEncryptionKey(parameters: VerifyEncryptionKeyParameters): void {
  const { timestamp, now, maxAge = 300n } = parameters;
  const expected = parseKmsPublicKey(parameters.expectedSigner);
  if (recoverEncryptionKeySigner(parameters) !== expected) throw untrusted("another key signed it");
  if (timestamp === undefined) return;
  if (now === undefined) throw untrusted("no current time was given to check its timestamp");
  if (timestamp > now + maximumSkew) throw untrusted("its timestamp is in the future");
  if (timestamp < now - maxAge) throw untrusted("its timestamp is too old");
}

const recoveryIds: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [1, 1],
  [27, 0],
  [28, 1],
]);

function untrusted(reason: string, cause?: unknown): UntrustedEncryptionKeyError {
  return new UntrustedEncryptionKeyError({ context: { reason }, cause });
}
