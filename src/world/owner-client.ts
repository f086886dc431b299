import { type Chain, type Client, createClient, http, type LocalAccount, type Transport } from "viem";

/** Speaks to a chain as the owner of the world's apps. */
export type OwnerClient = Client<Transport, Chain, LocalAccount>;

export interface CreateOwnerClientParameters {
  readonly rpcUrl: string;
  readonly chain: Chain;
  readonly owner: LocalAccount;
}

export function createOwnerClient({ rpcUrl, chain, owner }: CreateOwnerClientParameters): OwnerClient {
  // A local chain mines at once.
  return createClient({ account: owner, chain, transport: http(rpcUrl), pollingInterval: 50 });
}
