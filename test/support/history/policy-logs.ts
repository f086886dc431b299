import {
  type AbiEvent,
  type Address,
  encodeAbiParameters,
  encodeEventTopics,
  getAbiItem,
  type Hex,
  keccak256,
  numberToHex,
  stringToHex,
} from "viem";
import { dstackAppAbi } from "../../../src/generated/abi.ts";
import type { PolicyLog } from "../../../src/history/policy.ts";

type EventName = Extract<(typeof dstackAppAbi)[number], { type: "event" }>["name"];

export interface LogPlace {
  readonly blockNumber?: bigint;
  readonly logIndex?: number;
  readonly transactionHash?: Hex;
}

/** One log of a DstackApp, encoded by viem's encoder. */
export function policyLog(eventName: EventName, args: readonly unknown[], place: LogPlace = {}): PolicyLog {
  const { blockNumber = 1n, logIndex = 0, transactionHash = numberToHex(blockNumber, { size: 32 }) } = place;
  const event = getAbiItem({ abi: dstackAppAbi, name: eventName }) as AbiEvent; // the names are this ABI's events
  const values = event.inputs.map((input, index) => ({ input, value: args[index] }));
  const indexed = values.filter(({ input }) => input.indexed).map(({ value }) => value);
  const rest = values.filter(({ input }) => !input.indexed);
  return {
    blockNumber,
    blockHash: keccak256(numberToHex(blockNumber)),
    logIndex,
    transactionHash,
    topics: encodeEventTopics({ abi: [event], args: indexed }) as Hex[], // no argument is left open, so no topic is a list
    data: encodeAbiParameters(
      rest.map(({ input }) => input),
      rest.map(({ value }) => value),
    ),
  };
}

/** The audit record beside an event. `label` as the contract hashes it. */
export function recordLog(
  actor: Address,
  label: string,
  value: Hex,
  enabled: boolean,
  place: LogPlace = {},
): PolicyLog {
  return policyLog("PolicyChanged", [actor, keccak256(stringToHex(label)), value, enabled], place);
}
