import { type Chain, type Client, createClient, http, type LocalAccount, type Transport } from "viem";
import { fetchWithoutRedirects } from "../chain/client.ts";

/** Speaks to a chain as the owner of the world's apps. */
export type OwnerClient = Client<Transport, Chain, LocalAccount>;

export interface CreateOwnerClientParameters {
  readonly rpcUrl: string;
  readonly chain: Chain;
  readonly owner: LocalAccount;
  /** Pause between looks for a receipt. A local chain mines at once. @default 50 */
  readonly pollingMs?: number;
}

export function createOwnerClient(parameters: CreateOwnerClientParameters): OwnerClient {
  const { rpcUrl, chain, owner, pollingMs = 50 } = parameters;
  return createClient({
    account: owner,
    chain,
    transport: http(rpcUrl, { fetchFn: fetchWithoutRedirects }),
    pollingInterval: pollingMs,
  });
}
