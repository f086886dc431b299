import { type Address, decodeFunctionResult, encodeFunctionData, type Hex } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import { ContractRevertedError, isDstackError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { ethCall } from "./eth-call.ts";
import { requireCode } from "./require-code.ts";

export interface ReadKmsPublicKeyParameters {
  readonly kms: Address;
}

/**
 * Reads the secp256k1 key that a KMS publishes on its contract (`kmsInfo().k256Pubkey`): what signs the encryption keys of
 * its apps. Returns the compressed form, or undefined if none is published.
 *
 * The answer is worth as much as the address and the endpoint: take the address from your own configuration, and pin the
 * key where the endpoint may side with the cloud.
 *
 * @throws NoContractError, ContractRevertedError if it is no DstackKms or publishes no key of the curve, RpcUnavailableError
 */
export async function readKmsPublicKey(
  client: ChainClient,
  { kms }: ReadKmsPublicKeyParameters,
): Promise<Hex | undefined> {
  const call = { abi: dstackKmsAbi, functionName: "kmsInfo" } as const;
  const { data = "0x" } = await ethCall(client, {
    to: kms,
    data: encodeFunctionData(call),
    abi: dstackKmsAbi,
    doing: "reading the KMS's public key",
  });
  if (data === "0x") await requireCode(client, { address: kms });
  const published = decode(data);
  if (published === undefined) throw unreadable(kms, "it does not answer like a DstackKms");
  if (published === "0x") return undefined;
  try {
    return parseKmsPublicKey(published);
  } catch (error) {
    if (isDstackError(error)) throw unreadable(kms, "the key it publishes is no secp256k1 key");
    throw error;
  }
}

function decode(data: Hex): Hex | undefined {
  try {
    return decodeFunctionResult({ abi: dstackKmsAbi, functionName: "kmsInfo", data })[0];
  } catch {
    return undefined;
  }
}

function unreadable(kms: Address, reason: string): ContractRevertedError {
  return new ContractRevertedError({ contract: kms, functionName: "kmsInfo", reason });
}
