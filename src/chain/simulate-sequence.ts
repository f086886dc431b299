import {
  type Address,
  concat,
  decodeAbiParameters,
  type Hex,
  hexToBigInt,
  numberToHex,
  pad,
  size,
  slice,
  stringToHex,
} from "viem";
import { RpcUnavailableError } from "../errors/index.ts";
import type { ChainClient } from "./client.ts";
import { requestHex } from "./rpc-errors.ts";

/** One call of a sequence. */
export interface SequenceCall {
  readonly to: Address;
  readonly data: Hex;
  /** The sender, if it is not the sequence's own. It must have no code that the calls need. */
  readonly from?: Address | undefined;
}

export interface SequenceResult {
  readonly isSuccess: boolean;
  /** What the call returned, or the data of its revert. */
  readonly data: Hex;
}

export interface SimulateSequenceParameters {
  /** The sender of the calls. It may be a contract: for the simulation, its code is replaced. */
  readonly from: Address;
  readonly calls: readonly SequenceCall[];
  readonly blockNumber: bigint;
  /** Completes the error message "… while …". */
  readonly doing: string;
}

/** An endpoint that cannot replace code during `eth_call` gives a problem, as the end of a sentence. */
export type SimulateSequenceReturnType =
  | { readonly results: readonly SequenceResult[]; readonly problem?: undefined }
  | { readonly results?: undefined; readonly problem: string };

/**
 * Makes several calls one after the other in one `eth_call`, so that a later call sees what the earlier ones wrote. The
 * code of each sender is replaced by a program that makes the calls, so that the called contracts see the right sender.
 * Nothing is sent.
 *
 * @throws RpcUnavailableError if a sequence fails although the endpoint can replace code
 */
export async function simulateSequence(
  client: ChainClient,
  { from, calls, blockNumber, doing }: SimulateSequenceParameters,
): Promise<SimulateSequenceReturnType> {
  const run = (input: readonly SequenceCall[]) => {
    const senders = new Set([from, ...input.map((call) => call.from ?? from)].map((address) => address.toLowerCase()));
    const overrides = Object.fromEntries([...senders].map((address) => [address, { code: program }]));
    const block = numberToHex(blockNumber);
    const data = encodeCalls(input.map((call) => nestFor(call, from)));
    return requestHex(client, doing, { method: "eth_call", params: [{ from, to: from, data }, block, overrides] });
  };
  const problem = await findProblem(run);
  if (problem !== undefined) return { problem };
  const answers = decodeResults(await run(calls));
  if (answers?.length !== calls.length)
    throw new RpcUnavailableError(doing, { said: "its answer to a sequence of calls is not complete" });
  return { results: answers.map((answer, index) => unnest(answer, calls[index], from)) };
}

/** The identity precompile returns its input. An endpoint that ignores the replaced code does not return it. */
const identity: Address = pad("0x04", { size: 20 });
const echo = stringToHex("dstack-toolkit asks whether code can be replaced");

async function findProblem(run: (calls: readonly SequenceCall[]) => Promise<Hex>): Promise<string | undefined> {
  try {
    const [answer] = decodeResults(await run([{ to: identity, data: echo }])) ?? [];
    return answer?.isSuccess && answer.data === echo ? undefined : "it ignores state overrides of eth_call";
  } catch (error) {
    if (!(error instanceof RpcUnavailableError) || error.failure.said === undefined) throw error;
    return `it refuses state overrides of eth_call (${error.failure.said})`;
  }
}

/**
 * Makes the calls of its calldata, each `target (32 bytes), length (32 bytes), data`, and returns for each
 * `success (32 bytes), length (32 bytes), data`. Hand-written, because it must run in place of any account's code:
 * - `out` and `in` start at 0; while `in` < CALLDATASIZE:
 * - copy the data to memory at `out`, CALL the target with all gas and no value,
 * - store success, RETURNDATASIZE and the returned data at `out`, and move both pointers;
 * - RETURN memory from 0 to `out`.
 */
const program: Hex = concat([
  "0x5f5f5b368110", // out in; loop: in < size?
  "0x15603c57", // if not, jump to the end at 0x3c
  "0x8060200135", // length of the data
  "0x80826040018437", // CALLDATACOPY(out, in + 64, length)
  "0x5f5f82855f86355af1", // CALL(gas, target, 0, out, length, 0, 0)
  "0x8352", // MSTORE(out, success)
  "0x01604001", // in += length + 64
  "0x3d8260200152", // MSTORE(out + 32, RETURNDATASIZE)
  "0x3d5f836040013e", // RETURNDATACOPY(out + 64, 0, RETURNDATASIZE)
  "0x903d0160400190", // out += RETURNDATASIZE + 64
  "0x600256", // next call
  "0x5b505ff3", // end: RETURN(0, out)
]);

function encodeCalls(calls: readonly SequenceCall[]): Hex {
  return concat(calls.flatMap(({ to, data }) => [pad(to, { size: 32 }), numberToHex(size(data), { size: 32 }), data]));
}

/** A call of another sender is a sequence of one call, which that sender makes. */
function nestFor(call: SequenceCall, from: Address): SequenceCall {
  return isNested(call, from) ? { to: call.from, data: encodeCalls([call]) } : call;
}

function isNested(call: SequenceCall, from: Address): call is SequenceCall & { readonly from: Address } {
  return call.from !== undefined && call.from.toLowerCase() !== from.toLowerCase();
}

function unnest(answer: SequenceResult, call: SequenceCall | undefined, from: Address): SequenceResult {
  if (call === undefined || !isNested(call, from)) return answer;
  return decodeResults(answer.data)?.[0] ?? { isSuccess: false, data: "0x" };
}

function decodeResults(answer: Hex): readonly SequenceResult[] | undefined {
  const results: SequenceResult[] = [];
  const total = size(answer);
  for (let start = 0; start < total; ) {
    if (total - start < 64) return undefined;
    const success = hexToBigInt(slice(answer, start, start + 32));
    const length = hexToBigInt(slice(answer, start + 32, start + 64));
    const end = start + 64 + Number(length);
    if (success > 1n || length > BigInt(total) || end > total) return undefined;
    const data = length === 0n ? "0x" : slice(answer, start + 64, end);
    results.push({ isSuccess: success === 1n, data });
    start = end;
  }
  return results;
}

/** The reason of a revert in words, as far as it has one. */
export function revertReasonOf({ data }: SequenceResult): string {
  if (!data.startsWith("0x08c379a0")) return data === "0x" ? "without a reason" : `with ${data.slice(0, 74)}`;
  try {
    const [reason] = decodeAbiParameters([{ type: "string" }], slice(data, 4));
    return `"${reason}"`;
  } catch {
    return "with an unreadable reason";
  }
}
