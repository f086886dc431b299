import { type Address, type Hex, numberToHex } from "viem";
import type { ChainClient } from "./chain-client.ts";
import { requestHex } from "./request-hex.ts";

export interface ReadCodeParameters {
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * The code at an address, `0x` if there is none.
 *
 * @throws RpcUnavailableError
 */
export async function readCode(client: ChainClient, { address, blockNumber }: ReadCodeParameters): Promise<Hex> {
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  return requestHex(`reading the code at ${address}`, () =>
    client.request({ method: "eth_getCode", params: [address, block] }),
  );
}
