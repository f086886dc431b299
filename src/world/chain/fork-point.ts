import { createPublicClient, http, size } from "viem";
import { fetchWithoutRedirects } from "../../chain/client.ts";
import { duringRpc } from "../../chain/rpc-errors.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { baseChainId } from "./base-network.ts";

/** Where a fork leaves its chain. */
export interface ForkPoint {
  readonly url: string;
  readonly blockNumber: bigint;
  /** Absent: the newest that is known at the block. */
  readonly hardfork?: "granite" | undefined;
}

/** From Holocene on a header's extra data carries the fee parameters, 9 bytes or more. */
const shortestHoloceneExtraData = 9;

/**
 * Takes the endpoint's newest block. It is named explicitly because EDR would otherwise fork 128 blocks earlier, where
 * a contract deployed a minute ago does not exist.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function findForkPoint(url: string, signal?: AbortSignal): Promise<ForkPoint> {
  const transport = http(url, { fetchFn: fetchWithoutRedirects, fetchOptions: { signal: signal ?? null } });
  const client = createPublicClient({ transport });
  const [chainId, block] = await duringRpc("looking for the block to fork from", () =>
    Promise.all([client.getChainId(), client.getBlock()]),
  );
  if (chainId !== baseChainId) {
    throw new InvalidArgumentError(
      `The endpoint to fork serves chain ${chainId}; a world forks Base, ${baseChainId}.`,
      {
        nextStep: "Give the RPC URL of Base, or of a local chain with its chain id.",
        context: { chainId },
      },
    );
  }
  // anvil leaves the extra data empty, and EDR ends the process when it mines on such a block after Granite.
  const isBeforeHolocene = size(block.extraData) < shortestHoloceneExtraData;
  return { url, blockNumber: block.number, ...(isBeforeHolocene && { hardfork: "granite" as const }) };
}
