import type { Hex } from "viem";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { LocalChainClient } from "./local-chain-client.ts";

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
