import {
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  concat,
  hexToBigInt,
  numberToHex,
  type PublicClient,
  size,
  slice,
  zeroAddress,
} from "viem";
import { errorCodes, statusCodes } from "../../cloud/protocol.ts";
import { askedInterfaceIds, describeGeneration, type Generation, judgeGeneration } from "../../core/generation.ts";
import type { Hex } from "../../core/ids.ts";
import { ApiError } from "../errors.ts";

/**
 * Reads the generations of contracts with the backend's own client, all at one block and in one request: `eth_call` runs
 * the code below as if it created a contract, and returns what it would deploy.
 *
 * @throws when the chain cannot be read
 */
export async function readGenerations<const Addresses extends readonly Hex[]>(
  client: PublicClient,
  addresses: Addresses,
  blockNumber?: bigint,
): Promise<{ readonly [Index in keyof Addresses]: Generation }> {
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  const questions = addresses.flatMap((address) => askedInterfaceIds.map((id) => ({ address, id })));
  const answers = await ask(client, questions, block);
  const perContract = askedInterfaceIds.length;
  const judge = (_: Hex, index: number) =>
    judgeGeneration(answers.slice(index * perContract, (index + 1) * perContract));
  return addresses.map(judge) as { [Index in keyof Addresses]: Generation }; // one each
}

interface Question {
  readonly address: Hex;
  readonly id: Hex;
}

async function ask(client: PublicClient, questions: readonly Question[], block: Hex | "latest") {
  try {
    // The address that the code runs at depends on the sender's nonce. This sender never has another one, so a recorded
    // endpoint gets the same questions again.
    const call = { from: zeroAddress, data: askingCode(questions) };
    const data = await client.request({ method: "eth_call", params: [call, block] });
    if (size(data) === questions.length * answerBytes) return questions.map((_, index) => decodeAnswer(data, index));
  } catch (error) {
    if (contractFault(error) === undefined) throw error;
    return questions.map(() => undefined);
  }
  throw new Error("The endpoint does not run the code of a call without a recipient.");
}

/** Whether the call succeeded, the size of what it returned, and the first word of that. */
const answerBytes = 96;
/** The answers start behind the 36 bytes of a call. */
const answersAt = 64;
/** ERC-165 demands less than 30,000 gas. A limit, so that no contract takes the gas of the next question. */
const gasPerCall = 500_000;

/** EVM code that asks contracts `supportsInterface(id)` and returns the answers. */
function askingCode(questions: readonly Question[]): Hex {
  const push = (value: number) => concat(["0x62", numberToHex(value, { size: 3 })]); // PUSH3
  const mstore: Hex = "0x52";
  const calls = questions.map(({ address, id }, index) => {
    const answer = answersAt + index * answerBytes;
    const callData = concat(["0x7f", "0x01ffc9a7", id, numberToHex(0, { size: 24 })]); // PUSH32
    const to = concat(["0x73", address]); // PUSH20
    const staticCall = concat([push(32), push(answer + 64), push(36), push(0), to, push(gasPerCall), "0xfa"]);
    const returnDataSize: Hex = "0x3d";
    return concat([
      ...[callData, push(0), mstore],
      ...[staticCall, push(answer), mstore],
      ...[returnDataSize, push(answer + 32), mstore],
    ]);
  });
  return concat([...calls, push(questions.length * answerBytes), push(answersAt), "0xf3"]); // RETURN
}

/** The returned data as far as it counts; undefined if the call failed or returned nothing, as without a contract. */
function decodeAnswer(answers: Hex, index: number): Hex | undefined {
  const at = index * answerBytes;
  const isSuccess = hexToBigInt(slice(answers, at, at + 32)) === 1n;
  const bytes = hexToBigInt(slice(answers, at + 32, at + 64));
  if (!isSuccess || bytes === 0n) return undefined;
  // A shorter answer is no bool. A longer one begins with one.
  return bytes < 32n ? "0x00" : slice(answers, at + 64, at + 96);
}

/** Why this backend cannot judge a contract: it knows only the rules of the first generation. */
export function whyNotJudged(address: Hex, generation: Generation): string {
  const release = describeGeneration(generation);
  return `The release of contract ${address} is ${release}. This backend judges contracts up to 0.6.0 and has no verdict`;
}

/** @throws ApiError 468 for a contract of another generation, or when the chain cannot be read */
export async function requireJudgeable(client: PublicClient, address: Hex): Promise<void> {
  const [generation] = await readGenerations(client, [address]);
  if (generation.hasKeyEpochs === false) return;
  throw new ApiError(statusCodes.hashNotAllowed, errorCodes.hashNotAllowed, `${whyNotJudged(address, generation)}.`);
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
