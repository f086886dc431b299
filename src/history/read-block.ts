import { type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { ask, patiently } from "./ask.ts";
import type { PinnedBlock } from "./history.ts";
import type { Patience } from "./pause.ts";

const mostDenials = 3;

/**
 * Number, hash and time of a block; undefined if the chain has no such block.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export function readBlock(
  client: ChainClient,
  block: bigint | "latest",
  patience: Patience,
): Promise<PinnedBlock | undefined> {
  const params = [block === "latest" ? block : numberToHex(block), false];
  // A backend that lags behind says that there is no such block, so that is only believed when it is repeated.
  let denials = 0;
  return patiently(patience, "reading a block", async () => {
    const answer = await ask(client, { method: "eth_getBlockByNumber", params }, patience.signal);
    if (answer === null && block !== "latest") denials += 1;
    if (denials === mostDenials) return undefined;
    const { number, hash, timestamp } = Object(answer) as Record<string, unknown>;
    if (!isHex(number) || !isHex(hash) || !isHex(timestamp)) throw new Error("The endpoint's answer holds no block.");
    return { number: BigInt(number), hash: hash.toLowerCase() as Hex, timestamp: BigInt(timestamp) };
  });
}
