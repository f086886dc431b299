import {
  type Address,
  concat,
  encodeFunctionData,
  getAbiItem,
  getAddress,
  hashTypedData,
  keccak256,
  numberToHex,
  parseAbi,
  size,
  stringToHex,
  zeroAddress,
} from "viem";
import type { Hex } from "./ids.ts";
import { abiOf, type OwnerCall } from "./owner-calls.ts";

/** A batch as the Safe app's Transaction Builder imports it, format 1.0. */
export interface TransactionBuilderFile {
  readonly version: "1.0";
  /** Decimal. */
  readonly chainId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly meta: {
    readonly name: string;
    readonly description: string;
    readonly txBuilderVersion: string;
    /** With its checksum, as the app writes it. */
    readonly createdFromSafeAddress: Address;
    readonly createdFromOwnerAddress: "";
    /** Covers the whole file except the name. The app shows a warning if it does not match. */
    readonly checksum: Hex;
  };
  readonly transactions: readonly BuilderTransaction[];
}

export interface BuilderTransaction {
  readonly to: Address;
  /** Wei, decimal. */
  readonly value: "0";
  readonly data: Hex;
  /** Decoded form of `data`, which the app shows to the signers. */
  readonly contractMethod: {
    readonly inputs: readonly { readonly internalType: string; readonly name: string; readonly type: string }[];
    readonly name: string;
    readonly payable: false;
  };
  readonly contractInputsValues: Readonly<Record<string, string>>;
}

export interface BuildTransactionBuilderFileParameters {
  readonly calls: readonly OwnerCall[];
  readonly chainId: number;
  readonly safe: Address;
  /** Title in the app. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/**
 * Writes calls for the Safe app's Transaction Builder.
 *
 * @example
 * import { buildTransactionBuilderFile } from "dstack-toolkit/batch";
 * import { calls, safe } from "./app.js";
 * const file = buildTransactionBuilderFile({ calls, chainId: 8453, safe, name: "New version", createdAt: Date.now() });
 */
export function buildTransactionBuilderFile(parameters: BuildTransactionBuilderFileParameters): TransactionBuilderFile {
  const { calls, chainId, safe, name, createdAt } = parameters;
  const file = {
    version: "1.0",
    chainId: `${chainId}`,
    createdAt,
    meta: {
      name,
      description: calls.map(({ description, to }) => `${description} on ${to}`).join("; "),
      txBuilderVersion: "1.18.2",
      createdFromSafeAddress: getAddress(safe),
      createdFromOwnerAddress: "",
    },
    transactions: calls.map(toBuilderTransaction),
  } as const;
  return { ...file, meta: { ...file.meta, checksum: checksumOf(file) } };
}

function toBuilderTransaction(call: OwnerCall): BuilderTransaction {
  const item = getAbiItem({ abi: abiOf(call), name: call.functionName, args: call.args });
  const inputs = item?.type === "function" ? item.inputs : [];
  return {
    to: getAddress(call.to),
    value: "0",
    data: call.data,
    contractMethod: {
      inputs: inputs.map(({ internalType, name, type }) => ({
        internalType: internalType ?? type,
        name: name ?? "",
        type,
      })),
      name: call.functionName,
      payable: false,
    },
    contractInputsValues: Object.fromEntries(
      inputs.map(({ name }, index) => [name ?? "", String(call.args[index])] as const),
    ),
  };
}

/**
 * Computes the Safe app's checksum of a file. The name counts as null; the checksum field itself is left out.
 *
 * @example
 * import { checksumOf } from "dstack-toolkit/batch";
 * import { safeFile } from "./app.js";
 * const isUnchanged = safeFile.meta.checksum === checksumOf(safeFile);
 */
export function checksumOf<File extends { readonly meta: object }>(file: File): Hex {
  const { checksum: _, ...meta } = { checksum: undefined, ...file.meta };
  return keccak256(stringToHex(serialise({ ...file, meta: { ...meta, name: null } })));
}

/**
 * Serialises a value as the Safe app does: for an object, first the list of its sorted keys, then its values, each
 * followed by a comma.
 */
function serialise(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(serialise).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${JSON.stringify(entries.map(([key]) => key))}${entries.map(([, part]) => `${serialise(part)},`).join("")}}`;
}

/** One Safe transaction, as the Safe's owners sign it. The sender gets no refund. */
export interface SafeTx {
  readonly to: Address;
  /** Wei. */
  readonly value: bigint;
  readonly data: Hex;
  /** 0: call. 1: delegatecall. */
  readonly operation: 0 | 1;
  readonly safeTxGas: bigint;
  readonly baseGas: bigint;
  readonly gasPrice: bigint;
  readonly gasToken: Address;
  readonly refundReceiver: Address;
  readonly nonce: bigint;
}

const multiSendAbi = parseAbi(["function multiSend(bytes transactions) payable"]);

/**
 * Encodes calls for MultiSendCallOnly. It runs them in order; if one fails, all revert.
 *
 * @example
 * import { encodeMultiSend } from "dstack-toolkit/batch";
 * import { calls } from "./app.js";
 * const data = encodeMultiSend(calls);
 */
export function encodeMultiSend(calls: readonly OwnerCall[]): Hex {
  const packed = calls.map(({ to, data }) =>
    concat(["0x00", to, numberToHex(0, { size: 32 }), numberToHex(size(data), { size: 32 }), data]),
  );
  return encodeFunctionData({ abi: multiSendAbi, functionName: "multiSend", args: [concat(packed)] });
}

export interface BuildSafeTxParameters {
  readonly calls: readonly OwnerCall[];
  /** Address of MultiSendCallOnly on this chain. Not used for a single call. */
  readonly multiSend: Address;
  readonly nonce: bigint;
}

/**
 * Builds the Safe transaction for these calls: a plain call if there is one, otherwise a delegatecall to
 * MultiSendCallOnly.
 *
 * @example
 * import { buildSafeTx } from "dstack-toolkit/batch";
 * import { calls, multiSend } from "./app.js";
 * const safeTx = buildSafeTx({ calls, multiSend, nonce: 7n });
 */
export function buildSafeTx({ calls, multiSend, nonce }: BuildSafeTxParameters): SafeTx {
  const [only] = calls;
  const isOne = calls.length === 1 && only !== undefined;
  return {
    to: isOne ? only.to : multiSend,
    value: 0n,
    data: isOne ? only.data : encodeMultiSend(calls),
    operation: isOne ? 0 : 1,
    safeTxGas: 0n,
    baseGas: 0n,
    gasPrice: 0n,
    gasToken: zeroAddress,
    refundReceiver: zeroAddress,
    nonce,
  };
}

export interface SafeDomain {
  readonly chainId: number;
  readonly safe: Address;
  /** Return value of the Safe's `VERSION`. From 1.3.0 on, the hash includes the chain id. */
  readonly version: string;
}

/**
 * Returns the EIP-712 hash of a Safe transaction. The wallets of the Safe's owners show and sign it.
 *
 * @example
 * import { hashSafeTx } from "dstack-toolkit/batch";
 * import { safe, safeTx } from "./app.js";
 * const hash = hashSafeTx(safeTx, { chainId: 8453, safe, version: "1.4.1" });
 */
export function hashSafeTx(safeTx: SafeTx, { chainId, safe, version }: SafeDomain): Hex {
  const [major = 0, minor = 0] = version.split(/[.+-]/).map(Number);
  const isBoundToChain = major > 1 || (major === 1 && minor >= 3);
  return hashTypedData({
    domain: { ...(isBoundToChain && { chainId }), verifyingContract: safe },
    types: {
      SafeTx: [
        { name: "to", type: "address" },
        { name: "value", type: "uint256" },
        { name: "data", type: "bytes" },
        { name: "operation", type: "uint8" },
        { name: "safeTxGas", type: "uint256" },
        { name: "baseGas", type: "uint256" },
        { name: "gasPrice", type: "uint256" },
        { name: "gasToken", type: "address" },
        { name: "refundReceiver", type: "address" },
        { name: "nonce", type: "uint256" },
      ],
    },
    primaryType: "SafeTx",
    message: { ...safeTx },
  });
}
