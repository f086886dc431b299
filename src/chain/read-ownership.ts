import { type Address, isAddressEqual, zeroAddress } from "viem";
import type { AppId } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { readAppViews } from "./read-app-views.ts";
import { readIsContract } from "./read-is-contract.ts";

export interface ReadOwnershipParameters {
  /** An app, or any other ownable contract such as the KMS. */
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadOwnershipReturnType {
  readonly blockNumber: bigint;
  /** The zero address once ownership is renounced. */
  readonly owner: Address;
  /** Whether a transfer needs `acceptOwnership`; contracts of the first versions change owner at once. */
  readonly isTwoStep: boolean;
  /** Who may accept the ownership. Undefined if nobody is invited, and for one-step contracts. */
  readonly pendingOwner: Address | undefined;
  /** Whether the owner is a Safe, a timelock or another contract, for which no plain key can sign. */
  readonly ownerIsContract: boolean;
}

/**
 * Reads who owns an app and how its ownership moves.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function readOwnership(
  client: ChainClient,
  parameters: ReadOwnershipParameters,
): Promise<ReadOwnershipReturnType> {
  const { blockNumber, get } = await readAppViews(client, {
    ...parameters,
    calls: [{ view: "owner" }, { view: "pendingOwner" }],
    doing: "reading the app's owner",
  });
  const owner = get("owner");
  const pendingOwner = get("pendingOwner");
  return {
    blockNumber,
    owner,
    isTwoStep: pendingOwner !== undefined,
    pendingOwner: pendingOwner === undefined || isAddressEqual(pendingOwner, zeroAddress) ? undefined : pendingOwner,
    ownerIsContract: await readIsContract(client, { address: owner, blockNumber }),
  };
}
