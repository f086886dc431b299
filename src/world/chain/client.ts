import {
  type Chain,
  type Client,
  createClient,
  createTestClient,
  type HttpTransport,
  type LocalAccount,
  type PublicActions,
  publicActions,
  type TestClient,
  type Transport,
  toHex,
} from "viem";
import { type HDAccount, mnemonicToAccount } from "viem/accounts";
import { httpEndpoint } from "../../chain/endpoint.ts";
import type { Hex } from "../../core/ids.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { Mining } from "./mining.ts";

interface ChainSnapshot {
  readonly name: string;
  /** The chain's id of the snapshot. `evm_revert` accepts it once; then it and all later ids are invalid. */
  readonly id: Hex;
}

/** Snapshots of a dev chain under the caller's names. Each can be restored any number of times. */
export class ChainSnapshots {
  readonly #client: LocalChainClient;
  readonly #withoutTimer: Mining["withoutTimer"];
  /** Oldest first. */
  #taken: readonly ChainSnapshot[] = [];

  /** @param withoutTimer so that no block is mined between a return to a snapshot and the next snapshot */
  constructor(client: LocalChainClient, withoutTimer: Mining["withoutTimer"] = (work) => work()) {
    this.#client = client;
    this.#withoutTimer = withoutTimer;
  }

  async take(name: string): Promise<void> {
    this.#taken = [...this.#taken, { name, id: await this.#client.snapshot() }];
  }

  /** @throws InvalidArgumentError if the chain went back to a time before this snapshot */
  restore(name: string): Promise<void> {
    return this.#withoutTimer(() => this.#restore(name));
  }

  async #restore(name: string): Promise<void> {
    const index = this.#taken.findIndex((snapshot) => snapshot.name === name);
    const snapshot = this.#taken[index];
    // False if another client took the chain back past the snapshot through its RPC.
    const isBack = snapshot !== undefined && (await this.#revert(snapshot.id));
    if (!isBack) {
      throw new InvalidArgumentError(`The chain no longer has the state ${name}: it returned to an earlier one.`, {
        nextStep: "Restore a snapshot that was taken before that one.",
        context: { name },
      });
    }
    this.#taken = [...this.#taken.slice(0, index), { name, id: await this.#client.snapshot() }];
  }

  /** viem's `revert` does not return whether the snapshot existed. */
  #revert(id: Hex): Promise<boolean> {
    return this.#client.request<{ Method: "evm_revert"; Parameters: [Hex]; ReturnType: boolean }>({
      method: "evm_revert",
      params: [id],
    });
  }
}

/** A client that reads a chain and can use the methods of test chains. */
export type LocalChainClient = TestClient<"hardhat", HttpTransport, Chain> & PublicActions<HttpTransport, Chain>;

/** For a Hardhat or anvil chain. Both support the same methods. */
export function createLocalChainClient(rpcUrl: string, chain: Chain): LocalChainClient {
  return createTestClient({
    chain,
    mode: "hardhat",
    transport: httpEndpoint(rpcUrl),
    pollingInterval: 50,
  }).extend(publicActions);
}

/** A client that signs as the owner of the world's apps. */
export type OwnerClient = Client<Transport, Chain, LocalAccount>;

export interface CreateOwnerClientParameters {
  readonly rpcUrl: string;
  readonly chain: Chain;
  readonly owner: LocalAccount;
  /** Pause between reads of a receipt. A local chain mines at once. @default 50 */
  readonly pollingMs?: number;
}

export function createOwnerClient(parameters: CreateOwnerClientParameters): OwnerClient {
  const { rpcUrl, chain, owner, pollingMs = 50 } = parameters;
  return createClient({
    account: owner,
    chain,
    transport: httpEndpoint(rpcUrl),
    pollingInterval: pollingMs,
  });
}

/**
 * The phrase of the accounts that every Hardhat and anvil chain funds. It is public: never use them on a real chain.
 */
const mnemonic = "test test test test test test test test test test test junk";

/**
 * The nth funded account of a local chain.
 *
 * @example
 * import { devAccount } from "dstack-toolkit/world";
 * const account = devAccount(0);
 */
export function devAccount(index: number): HDAccount {
  return mnemonicToAccount(mnemonic, { addressIndex: index });
}

/**
 * Private key of `devAccount`, for programs that cannot take an account object.
 *
 * @example
 * import { devPrivateKey } from "dstack-toolkit/world";
 * const privateKey = devPrivateKey(0);
 */
export function devPrivateKey(index: number): Hex {
  const { privateKey } = devAccount(index).getHdKey();
  if (privateKey === null) throw new TypeError("A key derived from a phrase has a private key.");
  return toHex(privateKey);
}

/**
 * Moves the chain's clock ahead and mines a block, so that the new time is visible. The clock counts whole seconds: the
 * rest of a call is added to the next one.
 */
export function createClockMover(client: LocalChainClient): (milliseconds: number) => Promise<void> {
  let owedMs = 0;
  return async (milliseconds) => {
    const seconds = Math.floor((owedMs + milliseconds) / 1000);
    if (seconds > 0) {
      await client.increaseTime({ seconds });
      await client.mine({ blocks: 1 });
    }
    owedMs += milliseconds - seconds * 1000;
  };
}

/**
 * From now on the chain mines a block each time this many milliseconds have passed, and not when a transaction arrives.
 * With 0 it mines only the blocks that a client asks for.
 */
export async function mineEvery(client: LocalChainClient, milliseconds: number): Promise<void> {
  await client.setAutomine(false);
  // viem's own action takes seconds.
  await client.request<{ Method: "evm_setIntervalMining"; Parameters: [number]; ReturnType: true }>({
    method: "evm_setIntervalMining",
    params: [milliseconds],
  });
}
