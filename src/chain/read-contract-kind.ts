import { type Address, encodeFunctionData, type Hex, size } from "viem";
import { dstackAppAbi, dstackKmsAbi } from "../abi/index.ts";
import { callMany } from "./call-many.ts";
import type { ChainClient } from "./chain-client.ts";
import { readCode } from "./read-code.ts";

export interface ReadContractKindParameters {
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** What an address answers like. A contract can answer like an app or a KMS without being one, and like both. */
export interface ReadContractKindReturnType {
  readonly blockNumber: bigint;
  readonly hasCode: boolean;
  readonly isApp: boolean;
  readonly isKms: boolean;
}

/**
 * Tells apps, KMSs and mistaken addresses apart.
 *
 * @throws RpcUnavailableError
 */
export async function readContractKind(
  client: ChainClient,
  { address, ...parameters }: ReadContractKindParameters,
): Promise<ReadContractKindReturnType> {
  const { blockNumber, answers } = await callMany(client, {
    to: address,
    abi: dstackAppAbi,
    calls: [
      encodeFunctionData({ abi: dstackAppAbi, functionName: "allowAnyDevice" }),
      encodeFunctionData({ abi: dstackKmsAbi, functionName: "appImplementation" }),
    ],
    blockNumber: parameters.blockNumber,
    doing: "reading what the address is",
  });
  const [isApp = false, isKms = false] = answers.map(isWord);
  const hasCode = isApp || isKms || (await readCode(client, { address, blockNumber })) !== "0x";
  return { blockNumber, hasCode, isApp, isKms };
}

function isWord(data: Hex | undefined): boolean {
  return data !== undefined && size(data) === 32;
}
