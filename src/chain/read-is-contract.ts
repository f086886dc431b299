import type { Address } from "viem";
import { getCode } from "viem/actions";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/** Code of an EOA that delegates to a contract (EIP-7702): this prefix and the contract's address. */
const delegationPrefix = "0xef0100";

export interface ReadIsContractParameters {
  readonly address: Address;
  readonly blockNumber: bigint;
}

/**
 * Whether no private key can sign for the address. A delegated EOA has code, yet its key still signs.
 *
 * @throws RpcUnavailableError
 */
export async function readIsContract(client: ChainClient, parameters: ReadIsContractParameters): Promise<boolean> {
  const code = await duringRpc("reading the owner's code", () => getCode(client, parameters));
  return code !== undefined && !(code.startsWith(delegationPrefix) && code.length === 2 + 2 * 23);
}
