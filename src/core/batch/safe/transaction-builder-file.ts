import { type Address, getAbiItem, getAddress, keccak256, stringToHex } from "viem";
import type { Hex } from "../../hex.ts";
import { abiOf, type PolicyCall } from "../policy-call.ts";

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
    /** Over everything but the name; the app warns where it does not fit. */
    readonly checksum: Hex;
  };
  readonly transactions: readonly BuilderTransaction[];
}

export interface BuilderTransaction {
  readonly to: Address;
  /** Wei, decimal. */
  readonly value: "0";
  readonly data: Hex;
  /** What `data` is, so that the app can show it to the signers. */
  readonly contractMethod: {
    readonly inputs: readonly { readonly internalType: string; readonly name: string; readonly type: string }[];
    readonly name: string;
    readonly payable: false;
  };
  readonly contractInputsValues: Readonly<Record<string, string>>;
}

export interface BuildTransactionBuilderFileParameters {
  readonly calls: readonly PolicyCall[];
  readonly chainId: number;
  readonly safe: Address;
  /** Title in the app. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Writes calls for the Safe app's Transaction Builder. */
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

function toBuilderTransaction(call: PolicyCall): BuilderTransaction {
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

/** The app's checksum of a file. Its name is left out, and so is the checksum itself, which is not there yet. */
export function checksumOf<File extends { readonly meta: object }>(file: File): Hex {
  const { checksum: _, ...meta } = { checksum: undefined, ...file.meta };
  return keccak256(stringToHex(serialise({ ...file, meta: { ...meta, name: null } })));
}

/** The app's own form of JSON: the sorted keys of an object as a list, then its values, each with a comma behind it. */
function serialise(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(serialise).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${JSON.stringify(entries.map(([key]) => key))}${entries.map(([, part]) => `${serialise(part)},`).join("")}}`;
}
