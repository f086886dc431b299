import { type Address, decodeFunctionResult, encodeFunctionData } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import { ContractRevertedError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { ethCall } from "./eth-call.ts";
import { requireCode } from "./require-code.ts";

export interface ReadAppImplementationParameters {
  readonly kms: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * The code that the factory of a KMS gives new apps; the zero address where none is set.
 *
 * @throws NoContractError, ContractRevertedError if it is no DstackKms, RpcUnavailableError
 */
export async function readAppImplementation(
  client: ChainClient,
  { kms, blockNumber }: ReadAppImplementationParameters,
): Promise<Address> {
  const call = { abi: dstackKmsAbi, functionName: "appImplementation" } as const;
  const { data = "0x" } = await ethCall(client, {
    to: kms,
    data: encodeFunctionData(call),
    blockNumber,
    abi: dstackKmsAbi,
    doing: "reading the KMS",
  });
  if (data.length === 66) return decodeFunctionResult({ ...call, data });
  await requireCode(client, { address: kms, blockNumber });
  const reason = "it does not answer like a DstackKms";
  throw new ContractRevertedError({ contract: kms, functionName: call.functionName, reason });
}
