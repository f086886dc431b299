import {
  type Address,
  concat,
  getAddress,
  type Hex,
  hashMessage,
  hexToBigInt,
  hexToNumber,
  isHex,
  numberToHex,
  pad,
  recoverAddress,
  size,
  slice,
} from "viem";
import { InvalidArgumentError } from "../errors/index.ts";

/**
 * One owner's confirmation of a Safe transaction.
 *
 * `ecdsa` and `eth-sign` hold 65 bytes: r, s, v. `eth-sign` signs the hash as a personal message, and its v is 31 or
 * 32. `approved-hash` holds no signature: the owner called `approveHash`, or sends the transaction. `contract` holds
 * what the owner's `isValidSignature` (EIP-1271) accepts.
 */
export type SafeSignature =
  | { readonly kind: "ecdsa" | "eth-sign"; readonly signer: Address; readonly signature: Hex }
  | { readonly kind: "approved-hash"; readonly signer: Address }
  | { readonly kind: "contract"; readonly signer: Address; readonly signature: Hex };

const staticBytes = 65;

/**
 * Encodes signatures as `execTransaction` takes them: sorted by signer, one part of 65 bytes each, and behind them the
 * bytes of contract signatures.
 *
 * @throws InvalidArgumentError if an owner signs twice
 *
 * @example
 * import { encodeSafeSignatures } from "dstack-toolkit/batch";
 * import { safeSignatures } from "./app.js";
 * const signatures = encodeSafeSignatures(safeSignatures);
 */
export function encodeSafeSignatures(signatures: readonly SafeSignature[]): Hex {
  const sorted = signatures.toSorted((one, other) => compareHex(one.signer, other.signer));
  const twice = sorted.find(({ signer }, index) => compareHex(signer, sorted[index - 1]?.signer ?? "0x") === 0);
  if (twice !== undefined) {
    throw new InvalidArgumentError(`The signatures contain two of ${getAddress(twice.signer)}.`, {
      nextStep: "Give one signature of each owner.",
      context: { signer: twice.signer },
    });
  }
  const parts: Hex[] = [];
  const dynamic: Hex[] = [];
  let offset = sorted.length * staticBytes;
  for (const entry of sorted) {
    if (entry.kind === "ecdsa" || entry.kind === "eth-sign") {
      parts.push(entry.signature);
      continue;
    }
    const isContract = entry.kind === "contract";
    parts.push(staticPart(entry.signer, isContract ? offset : 0, isContract ? 0 : 1));
    if (!isContract) continue;
    const bytes = concat([numberToHex(size(entry.signature), { size: 32 }), entry.signature]);
    dynamic.push(bytes);
    offset += size(bytes);
  }
  return `0x${concat(["0x", ...parts, ...dynamic])
    .slice(2)
    .toLowerCase()}`;
}

function staticPart(signer: Address, offset: number, v: 0 | 1): Hex {
  return concat([pad(signer, { size: 32 }), numberToHex(offset, { size: 32 }), numberToHex(v, { size: 1 })]);
}

function compareHex(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export interface DecodeSafeSignaturesParameters {
  /** As `encodeSafeSignatures` returns them, or one owner's confirmation from a Safe transaction service. */
  readonly signatures: Hex;
  readonly safeTxHash: Hex;
}

/**
 * Decodes signatures and recovers the signer of each. For `approved-hash` and `contract`, the signer is only what the
 * bytes claim: the chain must confirm it.
 *
 * @throws InvalidArgumentError if the bytes are no signatures
 *
 * @example
 * import { decodeSafeSignatures } from "dstack-toolkit/batch";
 * import { signature } from "./app.js";
 * const [entry] = await decodeSafeSignatures({ signatures: signature, safeTxHash: `0x${"ab".repeat(32)}` });
 * console.log(entry?.signer);
 */
export async function decodeSafeSignatures(parameters: DecodeSafeSignaturesParameters): Promise<SafeSignature[]> {
  const { signatures, safeTxHash } = parameters;
  if (!isHex(signatures, { strict: true }) || signatures.length % 2 !== 0) throw invalid("They are not hex.");
  const decoded: SafeSignature[] = [];
  // The bytes of the first contract signature begin where the static parts end.
  let end = size(signatures);
  for (let start = 0; start < end; start += staticBytes) {
    if (start + staticBytes > end) throw invalid("A signature has 65 bytes.");
    const part = slice(signatures, start, start + staticBytes);
    const v = hexToNumber(slice(part, 64));
    if (v > 1) decoded.push(await recover(part, v, safeTxHash));
    else if (v === 1) decoded.push({ kind: "approved-hash", signer: signerIn(part) });
    else {
      const { offset, signature } = contractSignature(signatures, part);
      end = Math.min(end, offset);
      decoded.push({ kind: "contract", signer: signerIn(part), signature });
    }
  }
  return decoded;
}

async function recover(signature: Hex, v: number, safeTxHash: Hex): Promise<SafeSignature> {
  const isPersonal = v === 31 || v === 32;
  if (!isPersonal && v !== 27 && v !== 28) throw invalid(`No signature has the recovery byte ${v}.`);
  const hash = isPersonal ? hashMessage({ raw: safeTxHash }) : safeTxHash;
  const plain = concat([slice(signature, 0, 64), numberToHex(isPersonal ? v - 4 : v, { size: 1 })]);
  try {
    const signer = await recoverAddress({ hash, signature: plain });
    return { kind: isPersonal ? "eth-sign" : "ecdsa", signer, signature };
  } catch (cause) {
    throw invalid("One of them is no point of the curve.", cause);
  }
}

function signerIn(part: Hex): Address {
  if (hexToBigInt(slice(part, 0, 12)) !== 0n) throw invalid("A part without recovery byte names no address.");
  return getAddress(slice(part, 12, 32));
}

function contractSignature(signatures: Hex, part: Hex): { readonly offset: number; readonly signature: Hex } {
  const total = BigInt(size(signatures));
  const offset = hexToBigInt(slice(part, 32, 64));
  if (offset < BigInt(staticBytes) || offset + 32n > total) throw invalid("A contract signature is out of bounds.");
  const start = Number(offset) + 32;
  const length = hexToBigInt(slice(signatures, Number(offset), start));
  if (BigInt(start) + length > total) throw invalid("A contract signature is out of bounds.");
  const signature = length === 0n ? "0x" : slice(signatures, start, start + Number(length));
  return { offset: Number(offset), signature };
}

function invalid(problem: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`These bytes are no signatures of a Safe's owners. ${problem}`, {
    cause,
    nextStep: "Ask the owner to sign the Safe transaction hash again.",
  });
}

/**
 * Turns what an owner's wallet returned for the Safe transaction hash into a signature of the Safe. A wallet that signs
 * a personal message, such as one with `eth_sign` alone, gives `eth-sign`. Some wallets return 0 or 1 as v.
 *
 * @throws InvalidArgumentError if neither way of signing gives `signer`
 *
 * @example
 * import { toSafeSignature } from "dstack-toolkit/batch";
 * import { safe, signature } from "./app.js";
 * const entry = await toSafeSignature({ signature, safeTxHash: `0x${"ab".repeat(32)}`, signer: safe });
 */
export async function toSafeSignature(parameters: ToSafeSignatureParameters): Promise<SafeSignature> {
  const { signature, safeTxHash, signer } = parameters;
  if (!isHex(signature, { strict: true }) || size(signature) !== staticBytes)
    throw invalid("A signature has 65 bytes.");
  const v = hexToNumber(slice(signature, 64));
  const parity = v <= 1 ? v : (v + 1) % 2;
  for (const candidate of [27 + parity, 31 + parity]) {
    const bytes = concat([slice(signature, 0, 64), numberToHex(candidate, { size: 1 })]);
    const entry = await recover(bytes, candidate, safeTxHash);
    if (compareHex(entry.signer, signer) === 0) return entry;
  }
  throw invalid(`The signature is not from ${signer}.`);
}

export interface ToSafeSignatureParameters {
  /** 65 bytes. */
  readonly signature: Hex;
  readonly safeTxHash: Hex;
  /** The owner who signed. */
  readonly signer: Address;
}
