import { type Address, getAbiItem, getAddress, keccak256, stringToHex } from "viem";
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
