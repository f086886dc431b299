import type { Hex } from "viem";
import { getCode } from "viem/actions";
import { NoContractError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * A call to an address without code succeeds and returns nothing, which reads like "not allowed" or "done".
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function requireCode(
  client: ChainClient,
  address: Hex,
  at: { readonly blockNumber?: bigint; readonly chainId?: number } = {},
): Promise<void> {
  const { blockNumber, chainId = client.chain?.id } = at;
  const code = await duringRpc("looking for the contract", () =>
    getCode(client, blockNumber === undefined ? { address } : { address, blockNumber }),
  );
  if (code === undefined) throw new NoContractError(address, chainId);
}
