import {
  type Address,
  concat,
  encodeFunctionData,
  hashTypedData,
  numberToHex,
  parseAbi,
  size,
  zeroAddress,
} from "viem";
import type { Hex } from "../../hex.ts";
import type { PolicyCall } from "../policy-call.ts";

/** One transaction of a Safe, as its owners sign it. Nothing is refunded to whoever sends it. */
export interface SafeTx {
  readonly to: Address;
  /** Wei. */
  readonly value: bigint;
  readonly data: Hex;
  /** 0 calls, 1 delegates. */
  readonly operation: 0 | 1;
  readonly safeTxGas: bigint;
  readonly baseGas: bigint;
  readonly gasPrice: bigint;
  readonly gasToken: Address;
  readonly refundReceiver: Address;
  readonly nonce: bigint;
}

const multiSendAbi = parseAbi(["function multiSend(bytes transactions) payable"]);

/** Calldata of MultiSendCallOnly: plain calls one after the other, all or none. */
export function encodeMultiSend(calls: readonly PolicyCall[]): Hex {
  const packed = calls.map(({ to, data }) =>
    concat(["0x00", to, numberToHex(0, { size: 32 }), numberToHex(size(data), { size: 32 }), data]),
  );
  return encodeFunctionData({ abi: multiSendAbi, functionName: "multiSend", args: [concat(packed)] });
}

export interface BuildSafeTxParameters {
  readonly calls: readonly PolicyCall[];
  /** MultiSendCallOnly of the chain. One call goes without it. */
  readonly multiSend: Address;
  readonly nonce: bigint;
}

/** The transaction by which a Safe makes the calls: the one call itself, or a delegation to MultiSendCallOnly. */
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
  /** As the Safe's `VERSION` says it; from 1.3.0 on the hash is bound to the chain. */
  readonly version: string;
}

/** EIP-712 hash of a Safe transaction: what its owners' wallets show and what they sign. */
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
