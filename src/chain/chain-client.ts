import type { Account, Chain, Client, Transport } from "viem";

/** Any viem client. A public client reads; one with an account, or an `account` parameter, can also pay. */
export type ChainClient = Client<Transport, Chain | undefined, Account | undefined>;
