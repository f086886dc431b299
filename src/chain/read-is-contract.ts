import type { Address } from "viem";
import type { ChainClient } from "./chain-client.ts";
import { readCode } from "./read-code.ts";

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
  const code = await readCode(client, parameters);
  return code !== "0x" && !(code.startsWith(delegationPrefix) && code.length === 2 + 2 * 23);
}
