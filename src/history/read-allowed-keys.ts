import { concat, decodeFunctionResult, type Hex, toFunctionSelector } from "viem";
import { dstackAppAbi } from "../abi/index.ts";
import { callMany } from "../chain/calls.ts";
import type { ChainClient } from "../chain/client.ts";
import type { AppId } from "../core/ids.ts";
import { ContractRevertedError, isDstackError } from "../errors/index.ts";
import { patiently } from "./ask.ts";
import type { Patience } from "./pause.ts";

/** Views per request where Multicall3 answers them together; 10,000 gas each. */
const togetherAtMost = 400;
/** Requests at once where it does not. */
const apartAtMost = 16;
// There may be ten thousand keys, and the encoder would hash the view's signature for each.
const selectors = {
  allowedComposeHashes: toFunctionSelector("function allowedComposeHashes(bytes32)"),
  allowedDeviceIds: toFunctionSelector("function allowedDeviceIds(bytes32)"),
};
/** So few calls are not refused for being many. */
const fewCalls = 16;

export interface ReadAllowedKeysParameters<key extends Hex> extends Patience {
  readonly appId: AppId;
  readonly view: "allowedComposeHashes" | "allowedDeviceIds";
  readonly keys: readonly key[];
  readonly blockNumber: bigint;
}

/**
 * Which of these hashes or devices a contract allows at one block.
 *
 * @throws ContractRevertedError, RpcUnavailableError, the signal's reason
 */
export async function readAllowedKeys<key extends Hex>(
  client: ChainClient,
  parameters: ReadAllowedKeysParameters<key>,
): Promise<Set<key>> {
  const { keys } = parameters;
  const atMost = client.chain?.contracts?.multicall3 === undefined ? apartAtMost : togetherAtMost;
  const allowed = new Set<key>();
  for (let start = 0; start < keys.length; start += atMost)
    for (const key of await readChunk(client, parameters, keys.slice(start, start + atMost))) allowed.add(key);
  return allowed;
}

async function readChunk<key extends Hex>(
  client: ChainClient,
  parameters: ReadAllowedKeysParameters<key>,
  keys: readonly key[],
): Promise<key[]> {
  const { appId, view, blockNumber, signal } = parameters;
  const doing = "comparing the history with the contract";
  signal?.throwIfAborted();
  const read = () =>
    callMany(client, {
      to: appId,
      abi: dstackAppAbi,
      calls: keys.map((key) => concat([selectors[view], key])),
      blockNumber,
      doing,
    });
  try {
    const { answers } = keys.length > fewCalls ? await read() : await patiently(parameters, doing, read);
    return keys.filter((_, index) => isTrue(answers[index], { appId, view }));
  } catch (error) {
    if (!isDstackError(error) || !error.retryable || keys.length <= fewCalls) throw error;
    const half = Math.ceil(keys.length / 2);
    const first = await readChunk(client, parameters, keys.slice(0, half));
    return [...first, ...(await readChunk(client, parameters, keys.slice(half)))];
  }
}

type View = Pick<ReadAllowedKeysParameters<Hex>, "appId" | "view">;

function isTrue(data: Hex | undefined, { appId, view }: View): boolean {
  try {
    return decodeFunctionResult({ abi: dstackAppAbi, functionName: view, data: data ?? "0x" });
  } catch (cause) {
    const reason = "it does not answer like a DstackApp";
    throw new ContractRevertedError({ contract: appId, functionName: view, reason }, { cause });
  }
}
