import { type Address, encodeFunctionData, type Hex, parseAbi } from "viem";
import { askedInterfaceIds, type Generation, judgeGeneration } from "../core/generation.ts";
import { callMany } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { requireCode } from "./code.ts";

const abi = parseAbi(["function supportsInterface(bytes4 interfaceId) view returns (bool)"]);

/**
 * The questions that tell a contract's generation, for a request that asks it other things too. They belong at its end:
 * within one call of Multicall3, a contract that burns its gas on them leaves none for what follows.
 */
export const generationCalls: readonly Hex[] = askedInterfaceIds.map((interfaceId) =>
  encodeFunctionData({ abi, functionName: "supportsInterface", args: [interfaceId] }),
);

/** Takes the answers to `generationCalls` from the end of `answers`. */
export function takeGeneration(answers: readonly (Hex | undefined)[]): Generation {
  return judgeGeneration(answers.slice(-generationCalls.length));
}

/** Why a contract lacks a view that every contract of the first generation has. */
export function notLike(what: string, { hasKeyEpochs, releases }: Generation): string {
  const of = hasKeyEpochs ? ` of the first generation: it is of release ${releases}` : "";
  return `it does not answer like ${what}${of}`;
}

export interface ReadGenerationParameters {
  /** An app or a KMS. */
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * Which generation of the public contracts an app or a KMS is of. The reads of this module tell it as well, of what
 * they read.
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function readGeneration(
  client: ChainClient,
  { address, ...parameters }: ReadGenerationParameters,
): Promise<Generation> {
  const { answers, blockNumber } = await callMany(client, {
    to: address,
    abi,
    calls: generationCalls,
    blockNumber: parameters.blockNumber,
    doing: "reading which generation the contract is of",
  });
  if (answers.every((data) => data === undefined || data === "0x")) await requireCode(client, { address, blockNumber });
  return takeGeneration(answers);
}
