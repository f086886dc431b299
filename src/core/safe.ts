import {
  type Address,
  concat,
  domainSeparator,
  encodeFunctionData,
  hashStruct,
  hashTypedData,
  numberToHex,
  parseAbi,
  size,
  zeroAddress,
} from "viem";
import type { Hex } from "./ids.ts";
import type { OwnerCall } from "./owner-calls.ts";

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

export const multiSendAbi = parseAbi(["function multiSend(bytes transactions) payable"]);

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

const types = {
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
} as const;

/** A Safe transaction as EIP-712 typed data: what an owner's wallet signs. */
export type SafeTypedData = ReturnType<typeof safeTypedData>;

/**
 * Returns a Safe transaction as EIP-712 typed data, for `signTypedData` of a wallet.
 *
 * @example
 * import { privateKeyToAccount } from "viem/accounts";
 * import { safeTypedData } from "dstack-toolkit/batch";
 * import { privateKey, safe, safeTx } from "./app.js";
 * const typedData = safeTypedData(safeTx, { chainId: 8453, safe, version: "1.4.1" });
 * const signature = await privateKeyToAccount(privateKey).signTypedData(typedData);
 */
export function safeTypedData(safeTx: SafeTx, { chainId, safe, version }: SafeDomain) {
  return {
    domain: { ...(isBoundToChain(version) && { chainId }), verifyingContract: safe },
    types,
    primaryType: "SafeTx",
    message: { ...safeTx },
  } as const;
}

function isBoundToChain(version: string): boolean {
  const [major = 0, minor = 0] = version.split(/[.+-]/).map(Number);
  return major > 1 || (major === 1 && minor >= 3);
}

/**
 * Returns the EIP-712 hash of a Safe transaction. The wallets of the Safe's owners show and sign it.
 *
 * @example
 * import { hashSafeTx } from "dstack-toolkit/batch";
 * import { safe, safeTx } from "./app.js";
 * const hash = hashSafeTx(safeTx, { chainId: 8453, safe, version: "1.4.1" });
 */
export function hashSafeTx(safeTx: SafeTx, domain: SafeDomain): Hex {
  return hashTypedData(safeTypedData(safeTx, domain));
}

/** The three hashes that hardware wallets show for a Safe transaction. */
export interface SafeTxHashes {
  /** Hash of the EIP-712 domain: the chain and the Safe. */
  readonly domainHash: Hex;
  /** Hash of the EIP-712 message: the transaction without chain and Safe. */
  readonly messageHash: Hex;
  /** Hash of both, which is signed. */
  readonly safeTxHash: Hex;
}

/**
 * Returns the hashes that an owner compares with the screen of the wallet. Ledger shows domain and message hash, others
 * show the hash of both.
 *
 * @example
 * import { safeTxHashes } from "dstack-toolkit/batch";
 * import { safe, safeTx } from "./app.js";
 * const { domainHash, messageHash, safeTxHash } = safeTxHashes(safeTx, { chainId: 8453, safe, version: "1.4.1" });
 */
export function safeTxHashes(safeTx: SafeTx, domain: SafeDomain): SafeTxHashes {
  const typedData = safeTypedData(safeTx, domain);
  return {
    domainHash: domainSeparator({ domain: typedData.domain }),
    messageHash: hashStruct({ data: { ...safeTx }, primaryType: "SafeTx", types }),
    safeTxHash: hashTypedData(typedData),
  };
}
