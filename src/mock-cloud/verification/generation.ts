import { AbiDecodingDataSizeTooSmallError, BaseError, type PublicClient, parseAbi } from "viem";
import { errorCodes, statusCodes } from "../../cloud/protocol.ts";
import { askedInterfaceIds, describeGeneration, type Generation, judgeGeneration } from "../../core/generation.ts";
import type { Hex } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";
import { contractFault } from "./gather-facts.ts";

// The raw word: what is no bool must not pass for one.
const abi = parseAbi(["function supportsInterface(bytes4 interfaceId) view returns (bytes32)"]);

/**
 * Which generation a contract is of, by the backend's own reading.
 *
 * @throws when the chain cannot be read
 */
export async function readGeneration(client: PublicClient, address: Hex, blockNumber?: bigint): Promise<Generation> {
  return judgeGeneration(await Promise.all(askedInterfaceIds.map((id) => ask(client, { address, id, blockNumber }))));
}

/** Why this backend has no verdict about a contract: it knows the rules of the first generation alone. */
export function whyNotJudged(address: Hex, generation: Generation): string {
  const release = describeGeneration(generation);
  return `The release of contract ${address} is ${release}. This backend judges contracts up to 0.6.0 and has no verdict`;
}

/** @throws ApiError 468 for a contract of another generation, or when the chain cannot be read */
export async function requireJudgeable(client: PublicClient, address: Hex): Promise<void> {
  const generation = await readGeneration(client, address);
  if (generation.hasKeyEpochs === false) return;
  throw new ApiError(statusCodes.hashNotAllowed, errorCodes.hashNotAllowed, `${whyNotJudged(address, generation)}.`);
}

interface Question {
  readonly address: Hex;
  readonly id: Hex;
  readonly blockNumber: bigint | undefined;
}

async function ask(client: PublicClient, { address, id, blockNumber }: Question): Promise<Hex | undefined> {
  const at = blockNumber === undefined ? {} : { blockNumber };
  try {
    return await client.readContract({ address, abi, functionName: "supportsInterface", args: [id], ...at });
  } catch (error) {
    if (error instanceof BaseError && error.walk((cause) => cause instanceof AbiDecodingDataSizeTooSmallError))
      return "0x00";
    if (contractFault(error) !== undefined) return undefined;
    throw error;
  }
}
