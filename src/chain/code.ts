import { type Address, type Hex, numberToHex } from "viem";
import { NoContractError } from "../errors/index.ts";
import type { ChainClient } from "./client.ts";
import { requestHex } from "./rpc-errors.ts";

/** Code of an account that delegates (EIP-7702): this prefix and the contract's address. */
const prefix = "0xef0100";

export interface ReadDelegationParameters {
  readonly address: Address;
}

/** `contract`: code of its own, so no key signs for it. `to` is lower case. */
export type ReadDelegationReturnType =
  | { readonly kind: "none" }
  | { readonly kind: "delegated"; readonly to: Address }
  | { readonly kind: "contract" };

/**
 * What an account delegates to by EIP-7702.
 *
 * @throws RpcUnavailableError
 */
export async function readDelegation(
  client: ChainClient,
  { address }: ReadDelegationParameters,
): Promise<ReadDelegationReturnType> {
  const code = (await readCode(client, { address })).toLowerCase();
  if (code === "0x") return { kind: "none" };
  const isDelegation = code.startsWith(prefix) && code.length === prefix.length + 40;
  return isDelegation ? { kind: "delegated", to: `0x${code.slice(prefix.length)}` } : { kind: "contract" };
}

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
  return requestHex(client, `reading the code at ${address}`, () =>
    client.request({ method: "eth_getCode", params: [address, block] }),
  );
}

/**
 * A call to an address without code succeeds and returns nothing, which reads like "not allowed" or "done".
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function requireCode(client: ChainClient, parameters: ReadCodeParameters): Promise<void> {
  if ((await readCode(client, parameters)) === "0x") throw new NoContractError(parameters.address, client.chain?.id);
}

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
