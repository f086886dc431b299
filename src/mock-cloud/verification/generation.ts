import {
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  type PublicClient,
  parseAbi,
} from "viem";
import { errorCodes, statusCodes } from "../../cloud/protocol.ts";
import { askedInterfaceIds, describeGeneration, type Generation, judgeGeneration } from "../../core/generation.ts";
import type { Hex } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";

// Decoded as a raw word, because a word that is not a valid bool must not count as true or false.
const abi = parseAbi(["function supportsInterface(bytes4 interfaceId) view returns (bytes32)"]);

/**
 * Reads the generation of a contract with the backend's own client.
 *
 * @throws when the chain cannot be read
 */
export async function readGeneration(client: PublicClient, address: Hex, blockNumber?: bigint): Promise<Generation> {
  return judgeGeneration(await Promise.all(askedInterfaceIds.map((id) => ask(client, { address, id, blockNumber }))));
}

/** Why this backend cannot judge a contract: it knows only the rules of the first generation. */
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

/** The words that nodes use for a failed EVM execution. The error codes differ between nodes. */
const refusals = /revert|out of gas|invalid (?:opcode|jump)|stack (?:over|under)flow|bad instruction/i;
const revertCode = 3;

/**
 * Describes a contract's invalid answer, as one clause. Returns `undefined` when the RPC endpoint or the connection
 * failed, because then nothing is known about the contract.
 */
export function contractFault(error: unknown): string | undefined {
  if (!(error instanceof BaseError)) return undefined;
  const fault = error.walk(
    (cause) =>
      cause instanceof ContractFunctionRevertedError ||
      cause instanceof ContractFunctionZeroDataError ||
      cause instanceof AbiDecodingZeroDataError ||
      cause instanceof AbiDecodingDataSizeTooSmallError,
  );
  if (fault instanceof ContractFunctionRevertedError) {
    return isRevert(fault) ? `the contract reverted: ${fault.reason ?? fault.shortMessage}` : undefined;
  }
  if (fault !== null) return "there is no such contract at the address";
  const failure = error.walk(isExecutionFailure);
  return failure instanceof BaseError ? `the call failed: ${failure.details}` : undefined;
}

/**
 * viem reports every internal error of a node as a revert, even an outage. Only the node's message shows which it is.
 */
function isRevert(fault: ContractFunctionRevertedError): boolean {
  const hasData = fault.raw !== undefined && fault.raw !== "0x";
  return hasData || fault.walk(hasRevertCode) !== null || refusals.test(fault.details);
}

function hasRevertCode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === revertCode;
}

/** Nodes report "out of gas" and "invalid opcode" with codes that they also use for many other problems. */
function isExecutionFailure(cause: unknown): boolean {
  const isNodeError = cause instanceof BaseError && "code" in cause && (cause.code === -32000 || cause.code === -32015);
  return isNodeError && refusals.test(cause.details);
}
