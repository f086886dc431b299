import {
  type Address,
  decodeAbiParameters,
  decodeFunctionData,
  type Hex,
  hexToBigInt,
  hexToNumber,
  parseAbiParameters,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerialized,
} from "viem";
import { recoverAuthorizationAddress } from "viem/utils";
import { batchExecutorAbi } from "../../../src/generated/abi.ts";
import type { LyingRpc } from "./lying-rpc.ts";

/** A transaction that left with a signature, decoded. */
export interface DecodedTransaction {
  readonly signer: Address;
  readonly chainId: number | undefined;
  /** Lower case; undefined for one that creates a contract. */
  readonly to: Hex | undefined;
  readonly data: Hex;
  readonly value: bigint;
  readonly nonce: number;
  readonly gas: bigint;
  readonly tip: bigint;
  readonly authorizations: readonly DecodedAuthorization[];
}

export interface DecodedAuthorization {
  readonly signer: Address;
  readonly address: Hex;
  readonly chainId: number;
  readonly nonce: number;
}

/** Each signed transaction once, however often it was sent. */
export async function signedTransactions(rpc: LyingRpc): Promise<readonly DecodedTransaction[]> {
  return Promise.all([...new Set(rpc.transactions)].map(decode));
}

async function decode(raw: Hex): Promise<DecodedTransaction> {
  const serialized = raw as TransactionSerialized;
  const parsed = parseTransaction(serialized);
  const authorizations = await Promise.all(
    (parsed.type === "eip7702" ? (parsed.authorizationList ?? []) : []).map(async (authorization) => ({
      signer: lowerCase(await recoverAuthorizationAddress({ authorization })),
      address: lowerCase(authorization.address),
      chainId: authorization.chainId,
      nonce: authorization.nonce,
    })),
  );
  return {
    signer: lowerCase(await recoverTransactionAddress({ serializedTransaction: serialized })),
    chainId: parsed.chainId,
    to: parsed.to ? lowerCase(parsed.to) : undefined,
    data: parsed.data ?? "0x",
    value: parsed.value ?? 0n,
    nonce: parsed.nonce ?? 0,
    gas: parsed.gas ?? 0n,
    // A legacy transaction has no priority fee of its own, so its whole gas price counts.
    tip: parsed.maxPriorityFeePerGas ?? parsed.gasPrice ?? 0n,
    authorizations,
  };
}

/** Authorisations that the endpoint was shown on their own. */
export function shownAuthorizations(rpc: LyingRpc): readonly Omit<DecodedAuthorization, "signer">[] {
  return rpc.authorizations.map(({ address, chainId, nonce }) => ({
    address: lowerCase(address),
    chainId: hexToNumber(chainId),
    nonce: Number(hexToBigInt(nonce)),
  }));
}

/** The calls of a batch for the executor; undefined if the calldata is not one. */
export function callsOfBatch(data: Hex): readonly { readonly to: Hex; readonly data: Hex }[] | undefined {
  try {
    const { functionName, args } = decodeFunctionData({ abi: batchExecutorAbi, data });
    if (functionName !== "execute" || args[0] !== `0x01${"00".repeat(31)}`) return undefined;
    const [calls] = decodeAbiParameters(parseAbiParameters("(address to, uint256 value, bytes data)[]"), args[1]);
    if (calls.some(({ value }) => value !== 0n)) return undefined;
    return calls.map(({ to, data }) => ({ to: lowerCase(to), data }));
  } catch {
    return undefined;
  }
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
