import { type Address, encodeFunctionData, type Hex, size } from "viem";
import { dstackAppAbi, dstackKmsAbi } from "../abi/index.ts";
import type { Generation } from "../core/generation.ts";
import { callMany } from "./call-many.ts";
import type { ChainClient } from "./chain-client.ts";
import { readCode } from "./read-code.ts";
import { generationCalls, takeGeneration } from "./read-generation.ts";

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
  readonly generation: Generation;
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
      ...generationCalls,
    ],
    blockNumber: parameters.blockNumber,
    doing: "reading what the address is",
  });
  const [isApp = false, isKms = false] = answers.slice(0, 2).map(isWord);
  const hasCode = isApp || isKms || (await readCode(client, { address, blockNumber })) !== "0x";
  return { blockNumber, hasCode, isApp, isKms, generation: takeGeneration(answers) };
}

/**
 * The generation of the KMS at an address that a configuration or the cloud names; undefined if no KMS is there. A KMS
 * with key epochs need not have the views of the first generation.
 *
 * @throws RpcUnavailableError
 */
export async function findKmsGeneration(
  client: ChainClient,
  kms: ReadContractKindParameters,
): Promise<Generation | undefined> {
  const { isKms, isApp, generation } = await readContractKind(client, kms);
  return isKms || (!isApp && generation.hasKeyEpochs === true) ? generation : undefined;
}

function isWord(data: Hex | undefined): boolean {
  return data !== undefined && size(data) === 32;
}
