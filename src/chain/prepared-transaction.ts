import type { Address, Hex } from "viem";
import type { TransactionHash } from "../core/ids.ts";

/** A transaction with every field decided. Sent again, it is the same transaction: its nonce can be used only once. */
export interface PreparedTransaction {
  readonly chainId: number;
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  readonly nonce: number;
  /** Gas limit, in gas. */
  readonly gas: bigint;
  /** Most that is paid per gas, in wei. */
  readonly maxFeePerGas: bigint;
  /** Part of it for the block's builder, in wei per gas. */
  readonly maxPriorityFeePerGas: bigint;
  /** What the call is, for people: `data` decides. */
  readonly functionName: string;
  /** The signed bytes. Absent if the signer's key is with the node or a wallet. */
  readonly rawTransaction?: Hex | undefined;
  /** Hash of the signed bytes, known before they are sent. */
  readonly transactionHash?: TransactionHash | undefined;
}
