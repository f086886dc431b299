import { type Address, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { Ledger, RecordParameters } from "../../../src/chain/transactions/ledger.ts";
import type { LedgerPurpose, LedgerTransaction } from "../../../src/chain/transactions/ledger-records.ts";
import type { PreparedTransaction } from "../../../src/chain/transactions/prepare.ts";
import { batchExecutorAddress, encodeExecute } from "../../../src/core/batch-executor.ts";
import { type Hex, parseTransactionHash } from "../../../src/core/ids.ts";
import type { OwnerCall } from "../../../src/core/owner-calls.ts";

export const signer = privateKeyToAccount(`0x${"1a".repeat(32)}`);
export const stranger = privateKeyToAccount(`0x${"1b".repeat(32)}`);
export const executor = batchExecutorAddress;
/** The owner of what a process left behind that has ended. */
export const gone = { host: "elsewhere", pid: 1, start: "1", run: "0" };

export interface SignRecordOptions {
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

/** A transaction of a batch as `sendBatch` signs it on chain 8453, or with one thing of it wrong. */
export async function signRecord(options: SignRecordOptions): Promise<PreparedTransaction> {
  const { calls, nonce = 5, by = signer, delegate, delegatedBy = signer, maxPriorityFeePerGas = 1_000n } = options;
  const { to = signer.address, data = encodeExecute(calls) } = options;
  const fields = {
    ...{ chainId: 8453, nonce, to, data, gas: 100_000n },
    ...{ maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas },
  };
  const authorization =
    delegate && (await delegatedBy.signAuthorization({ address: delegate, chainId: 8453, nonce: nonce + 1 }));
  const wanted = { ...fields, ...options.signed };
  const rawTransaction = await by.signTransaction(
    authorization ? { ...wanted, type: "eip7702", authorizationList: [authorization] } : { ...wanted, type: "eip1559" },
  );
  return {
    ...fields,
    from: signer.address,
    functionName: `a batch of ${calls.length} calls`,
    rawTransaction,
    transactionHash: parseTransactionHash(keccak256(rawTransaction)),
  };
}

export interface PutOptions extends Partial<Pick<RecordParameters, "owner" | "authorizes">> {
  readonly calls: readonly OwnerCall[];
  readonly chain?: string;
  readonly purpose?: LedgerPurpose;
}

/** Puts a transaction into a ledger as an earlier process left it. */
export function putRecord(ledger: Ledger, prepared: PreparedTransaction, options: PutOptions): LedgerTransaction {
  const {
    calls,
    chain = `${prepared.chainId}`,
    purpose = { kind: "batch" },
    owner = gone,
    authorizes = false,
  } = options;
  const outcome = ledger.record({
    ...{ key: { chain, signer: prepared.from, purpose, calls }, prepared, calls, authorizes, owner },
    ...{ floor: prepared.nonce, floorReadAt: 0, since: 0, isDevelopment: false, mayRepeat: true },
  });
  if (outcome.kind !== "recorded") throw new Error(`It was ${outcome.kind}.`);
  return outcome.transaction;
}
