import { type Address, type Hex, numberToHex } from "viem";
import { NoContractError } from "../errors/index.ts";
import type { ChainClient } from "./client.ts";
import { requestHex } from "./rpc-errors.ts";

/** Code of an account that delegates (EIP-7702): this prefix and the contract's address. */
const delegationPrefix = "0xef0100";

/** The contract that an account with this code delegates to, in lower case. Undefined for other code. */
export function delegateOf(code: Hex): Address | undefined {
  const isDelegation = code.toLowerCase().startsWith(delegationPrefix) && code.length === delegationPrefix.length + 40;
  return isDelegation ? `0x${code.slice(delegationPrefix.length).toLowerCase()}` : undefined;
}

/** Code of an account that delegates to this contract. */
export function delegationTo(contract: Address): Hex {
  return `${delegationPrefix}${contract.slice(2).toLowerCase()}` as Hex; // the prefix is hex
}

export interface ReadDelegationParameters {
  readonly address: Address;
}

/** `contract`: the address has its own code, so no key signs for it. `to` is lower case. */
export type ReadDelegationReturnType =
  | { readonly kind: "none" }
  | { readonly kind: "delegated"; readonly to: Address }
  | { readonly kind: "contract" };

/**
 * Reads to which contract an account delegates (EIP-7702).
 *
 * @throws RpcUnavailableError
 *
 * @example
 * import { readDelegation } from "dstack-toolkit/batch";
 * import { account, client } from "./app.js";
 * const delegation = await readDelegation(client, { address: account.address });
 */
export async function readDelegation(
  client: ChainClient,
  { address }: ReadDelegationParameters,
): Promise<ReadDelegationReturnType> {
  const code = await readCode(client, { address });
  if (code === "0x") return { kind: "none" };
  const to = delegateOf(code);
  return to === undefined ? { kind: "contract" } : { kind: "delegated", to };
}

export interface ReadCodeParameters {
  readonly address: Address;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/**
 * Reads the code at an address. Returns `0x` if there is none.
 *
 * @throws RpcUnavailableError
 */
export async function readCode(client: ChainClient, { address, blockNumber }: ReadCodeParameters): Promise<Hex> {
  const block = blockNumber === undefined ? "latest" : numberToHex(blockNumber);
  return requestHex(client, `reading the code at ${address}`, {
    method: "eth_getCode",
    params: [address, block],
  });
}

/**
 * Throws if there is no code at the address. A call there would succeed and return nothing, which looks like "not
 * allowed" or "done".
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function requireCode(client: ChainClient, parameters: ReadCodeParameters): Promise<void> {
  if ((await readCode(client, parameters)) === "0x") throw new NoContractError(parameters.address, client.chain?.id);
}

export interface ReadIsContractParameters {
  readonly address: Address;
  readonly blockNumber: bigint;
}

/**
 * Tells whether the address is a contract, for which no private key can sign. An EOA that delegates has code, but its
 * key still signs, so it is not a contract.
 *
 * @throws RpcUnavailableError
 */
export async function readIsContract(client: ChainClient, parameters: ReadIsContractParameters): Promise<boolean> {
  const code = await readCode(client, parameters);
  return code !== "0x" && delegateOf(code) === undefined;
}
