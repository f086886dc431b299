import { type Address, type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { PolicyLog } from "../core/policy/decode-policy-changes.ts";
import { ask } from "./ask.ts";
import type { BlockRange } from "./block-range.ts";

/**
 * One `eth_getLogs` for all logs of one contract in a range. An answer that is not exactly that (another contract's
 * logs, other blocks, one log twice) is a fault like any other.
 *
 * @throws whatever the transport throws
 */
export async function readLogs(
  client: ChainClient,
  address: Address,
  range: BlockRange,
  signal?: AbortSignal,
): Promise<PolicyLog[]> {
  const filter = { address, fromBlock: numberToHex(range.fromBlock), toBlock: numberToHex(range.toBlock) };
  const answer = await ask(client, { method: "eth_getLogs", params: [filter] }, signal);
  if (!Array.isArray(answer)) throw new Error("The endpoint's answer holds no logs.");
  const logs = answer.map((log: unknown) => parseLog(log, address, range));
  if (new Set(logs.map(({ blockNumber, logIndex }) => `${blockNumber} ${logIndex}`)).size < logs.length)
    throw new Error("The endpoint's answer holds a log twice.");
  return logs;
}

function parseLog(raw: unknown, contract: Address, { fromBlock, toBlock }: BlockRange): PolicyLog {
  const log = Object(raw) as Record<string, unknown>;
  const { address, blockNumber, blockHash, transactionHash, logIndex, topics, data, blockTimestamp, removed } = log;
  if (
    !isHex(address) ||
    !isHex(blockNumber) ||
    !isHex(blockHash) ||
    !isHex(transactionHash) ||
    !isHex(logIndex) ||
    !isHex(data) ||
    !Array.isArray(topics) ||
    !topics.every((topic): topic is Hex => isHex(topic))
  )
    throw new Error("The endpoint's answer holds something that is not a mined log.");
  const number = BigInt(blockNumber);
  if (address.toLowerCase() !== contract.toLowerCase() || number < fromBlock || number > toBlock || removed === true)
    throw new Error("The endpoint's answer holds a log that was not asked for.");
  return {
    blockNumber: number,
    blockHash: lowerCase(blockHash),
    logIndex: Number(logIndex),
    transactionHash: lowerCase(transactionHash),
    timestamp: isHex(blockTimestamp) ? BigInt(blockTimestamp) : undefined,
    topics: topics.map(lowerCase),
    data: lowerCase(data),
  };
}

function lowerCase(hex: Hex): Hex {
  return hex.toLowerCase() as Hex; // still hex
}
