import { type Address, encodeFunctionData, type Hex, parseAbi } from "viem";
import { askedInterfaceIds, type Generation, judgeGeneration } from "../core/generation.ts";
import { callMany } from "./calls.ts";
import type { ChainClient } from "./client.ts";
import { requireCode } from "./code.ts";

const abi = parseAbi(["function supportsInterface(bytes4 interfaceId) view returns (bool)"]);

/**
 * Calls that determine a contract's generation, to append to a request with other calls. Put them last: a contract that
 * burns its gas on them leaves none for later calls of the same Multicall3 request.
 */
export const generationCalls: readonly Hex[] = askedInterfaceIds.map((interfaceId) =>
  encodeFunctionData({ abi, functionName: "supportsInterface", args: [interfaceId] }),
);

/** Determines the generation from the last answers, which belong to `generationCalls`. */
export function takeGeneration(answers: readonly (Hex | undefined)[]): Generation {
  return judgeGeneration(answers.slice(-generationCalls.length));
}

/** Explains why a contract lacks a view that every contract of the first generation has. */
export function notLike(what: string, { hasKeyEpochs, releases }: Generation): string {
  const of = hasKeyEpochs ? ` of the first generation: it has release ${releases}` : "";
  return `it does not answer like ${what}${of}`;
}

export interface ReadGenerationParameters {
  /** An app or a KMS. */
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * Reads the generation of an app or a KMS. The other reads of this module also return it for the contract they read.
 *
 * @throws NoContractError, RpcUnavailableError
 *
 * @example
 * import { readGeneration } from "dstack-toolkit/chain";
 * import { appId, client } from "./app.js";
 * const { releases, hasKeyEpochs } = await readGeneration(client, { address: appId });
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
    doing: "reading the contract's generation",
  });
  if (answers.every((data) => data === undefined || data === "0x")) await requireCode(client, { address, blockNumber });
  return takeGeneration(answers);
}
