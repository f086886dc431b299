import { type Address, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { BatchEntry } from "../../../src/chain/transactions/journal.ts";
import { batchExecutorAddress, encodeExecute } from "../../../src/core/batch-executor.ts";
import { type Hex, parseTransactionHash } from "../../../src/core/ids.ts";
import type { OwnerCall } from "../../../src/core/owner-calls.ts";

export const signer = privateKeyToAccount(`0x${"1a".repeat(32)}`);
export const stranger = privateKeyToAccount(`0x${"1b".repeat(32)}`);

export interface SignEntryOptions {
  readonly calls: readonly OwnerCall[];
  readonly to?: Address;
  readonly data?: Hex;
  readonly nonce?: number;
  /** Of the signed bytes only. */
  readonly signed?: { readonly chainId?: number; readonly nonce?: number; readonly value?: bigint };
  /** By whose key. */
  readonly by?: typeof signer;
  readonly maxPriorityFeePerGas?: bigint;
  /** To whom the transaction delegates its sender. */
  readonly delegate?: Address;
  readonly delegatedBy?: typeof signer;
}

/** An entry of a batch journal as `sendBatch` records it on chain 8453, or with one thing of it wrong. */
export async function signEntry(options: SignEntryOptions): Promise<BatchEntry> {
  const { calls, nonce = 5, by = signer, delegate, delegatedBy = signer, maxPriorityFeePerGas = 1_000n } = options;
  const { to = signer.address, data = encodeExecute(calls) } = options;
  const fields = {
    ...{ chainId: 8453, nonce, to: lowerCase(to), data, gas: 100_000n },
    ...{ maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas },
  };
  const authorization =
    delegate && (await delegatedBy.signAuthorization({ address: delegate, chainId: 8453, nonce: nonce + 1 }));
  const wanted = { ...fields, ...options.signed };
  const rawTransaction = await by.signTransaction(
    authorization ? { ...wanted, type: "eip7702", authorizationList: [authorization] } : { ...wanted, type: "eip1559" },
  );
  return {
    transaction: {
      ...fields,
      from: lowerCase(signer.address),
      functionName: `a batch of ${calls.length} calls`,
      rawTransaction,
      transactionHash: parseTransactionHash(keccak256(rawTransaction)),
    },
    calls,
    authorizes: delegate !== undefined,
  };
}

export const executor = batchExecutorAddress;

function lowerCase(address: Address): Address {
  return address.toLowerCase() as Address;
}
