import { type Address, encodeFunctionData, type Hex } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import type { ChainClient } from "../chain/chain-client.ts";
import { sendContractCall, type WriteParameters } from "../chain/send-contract-call.ts";
import type { TransactionHash } from "../core/ids.ts";

export interface AllowOsImageParameters extends WriteParameters {
  readonly kms: Address;
  /** 32 bytes. */
  readonly osImageHash: Hex;
}

/** Lets a guest operating system boot on a KMS, for every app of it. Owner of the KMS only. */
export function allowOsImage(
  client: ChainClient,
  { kms, osImageHash, ...write }: AllowOsImageParameters,
): Promise<TransactionHash> {
  const functionName = "addOsImageHash";
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [osImageHash] });
  return sendContractCall(client, { ...write, to: kms, data, abi: dstackKmsAbi, functionName });
}
