import type { Address } from "viem";
import type { AppId } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { type ReadAppSettingsReturnType, readAppSettings } from "./read-app-settings.ts";
import { readContractKind } from "./read-contract-kind.ts";
import { type ReadOwnerReturnType, readOwner } from "./read-owner.ts";
import { readOwnership } from "./read-ownership.ts";

export interface ReadAppStatusParameters {
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export type ReadAppStatusReturnType = { readonly blockNumber: bigint } & (
  | { readonly kind: "noCode" | "kms" }
  | ({ readonly kind: "app" } & AppStatus)
);

/** Who may change an app, and what its switches say. */
export interface AppStatus extends ReadAppSettingsReturnType {
  readonly owner: ReadOwnerReturnType;
  /** Undefined if nobody is invited to take over. */
  readonly pendingOwner: ReadOwnerReturnType | undefined;
  /** Whether a new owner must accept; contracts of the first versions change owner at once. */
  readonly isTwoStep: boolean;
}

/**
 * Reads what an address is and, if it is an app, everything about it but its lists, all at one block.
 *
 * @throws ContractRevertedError if it is neither app nor KMS, RpcUnavailableError
 */
export async function readAppStatus(
  client: ChainClient,
  { appId, ...parameters }: ReadAppStatusParameters,
): Promise<ReadAppStatusReturnType> {
  const { blockNumber, hasCode, isApp, isKms } = await readContractKind(client, { address: appId, ...parameters });
  if (!hasCode) return { kind: "noCode", blockNumber };
  if (!isApp && isKms) return { kind: "kms", blockNumber };
  const [settings, ownership] = await Promise.all([
    readAppSettings(client, { appId, blockNumber }),
    readOwnership(client, { appId, blockNumber }),
  ]);
  const describe = (address: Address) => readOwner(client, { address, blockNumber });
  const [owner, pendingOwner] = await Promise.all([
    describe(ownership.owner),
    ownership.pendingOwner === undefined ? undefined : describe(ownership.pendingOwner),
  ]);
  return { kind: "app", ...settings, owner, pendingOwner, isTwoStep: ownership.isTwoStep };
}
