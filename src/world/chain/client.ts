import {
  type Chain,
  type Client,
  createClient,
  createTestClient,
  type HttpTransport,
  http,
  type LocalAccount,
  type PublicActions,
  publicActions,
  type TestClient,
  type Transport,
  toHex,
} from "viem";
import { type HDAccount, mnemonicToAccount } from "viem/accounts";
import { fetchWithoutRedirects } from "../../chain/redirects.ts";
import type { Hex } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";

interface ChainSnapshot {
  readonly name: string;
  /** What the chain calls it. It is good for one return only, and then for none after it. */
  readonly id: Hex;
}

/** States of a dev chain under names of the caller's, to go back to any number of times. */
export class ChainSnapshots {
  readonly #client: LocalChainClient;
  /** Oldest first. */
  #taken: readonly ChainSnapshot[] = [];

  constructor(client: LocalChainClient) {
    this.#client = client;
  }

  async take(name: string): Promise<void> {
    this.#taken = [...this.#taken, { name, id: await this.#client.snapshot() }];
  }

  /** @throws InvalidArgumentError if the chain has gone back past the snapshot since it was taken */
  async restore(name: string): Promise<void> {
    const index = this.#taken.findIndex((snapshot) => snapshot.name === name);
    const snapshot = this.#taken[index];
    // False where somebody took the chain back, by its own RPC, past the snapshot.
    const isBack = snapshot !== undefined && (await this.#revert(snapshot.id));
    if (!isBack) {
      throw new InvalidArgumentError(`The chain has no state ${name} any more: it went back to an earlier one.`, {
        nextStep: "Go back to a snapshot that was taken before that one.",
        context: { name },
      });
    }
    this.#taken = [...this.#taken.slice(0, index), { name, id: await this.#client.snapshot() }];
  }

  /** The client's own `revert` does not tell whether there was such a state. */
  #revert(id: Hex): Promise<boolean> {
    return this.#client.request<{ Method: "evm_revert"; Parameters: [Hex]; ReturnType: boolean }>({
      method: "evm_revert",
      params: [id],
    });
  }
}

/** Reads a chain, and may do with it what only a test may. */
export type LocalChainClient = TestClient<"hardhat", HttpTransport, Chain> & PublicActions<HttpTransport, Chain>;

/** For a chain of Hardhat's or anvil's, which answers to the same calls. */
export function createLocalChainClient(rpcUrl: string, chain: Chain): LocalChainClient {
  return createTestClient({
    chain,
    mode: "hardhat",
    transport: http(rpcUrl, { fetchFn: fetchWithoutRedirects }),
    pollingInterval: 50,
  }).extend(publicActions);
}

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

/** The phrase every Hardhat and anvil chain funds. Public: whatever these accounts own on a real chain is lost. */
const mnemonic = "test test test test test test test test test test test junk";

/** The nth funded account of a local chain. */
export function devAccount(index: number): HDAccount {
  return mnemonicToAccount(mnemonic, { addressIndex: index });
}

/** Its key, for programs that cannot be handed an account. */
export function devPrivateKey(index: number): Hex {
  const { privateKey } = devAccount(index).getHdKey();
  if (privateKey === null) throw new TypeError("A key derived from a phrase has its private part.");
  return toHex(privateKey);
}

/** Puts the chain's clock ahead, by whole seconds, and mines a block so that it shows. */
export async function advanceChain(client: LocalChainClient, milliseconds: number): Promise<void> {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds === 0) return;
  await client.increaseTime({ seconds });
  await client.mine({ blocks: 1 });
}
