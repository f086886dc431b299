import { type Abi, type Account, type Address, isAddressEqual, parseEther, type TransactionReceipt } from "viem";
import { getBalance, sendTransaction } from "viem/actions";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { isDevelopmentChain } from "../chain/transactions/chain-identity.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import { estimateFor, simulateCall } from "../chain/transactions/simulate.ts";
import { type Hex, parseTransactionHash } from "../core/ids.ts";
import { DelegationUnsupportedError, InvalidArgumentError } from "../errors/index.ts";
import type { LocalChainClient } from "../world/chain/client.ts";

/** A transaction of any account of a development chain. */
export interface ImpersonatedTransaction {
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  /** With the errors of the called contract. */
  readonly abi: Abi;
  readonly functionName: string;
}

/** An account that got a balance, because it could not pay for its transaction. */
export interface FundedAccount {
  readonly address: Address;
  /** What it has on the live chain, in wei. */
  readonly balance: bigint;
}

/** More than any transaction of a rehearsal costs. */
const enough = parseEther("1");

/** Sends transactions of accounts whose keys are not here: the development chain signs nothing and checks no signature. */
export class Impersonation {
  readonly client: LocalChainClient;
  #funded: readonly FundedAccount[] = [];

  /** @param client of a chain of Hardhat or anvil that this process, or its user, has started */
  constructor(client: LocalChainClient) {
    this.client = client;
  }

  /** @throws InvalidArgumentError on any other chain, RpcUnavailableError */
  static async open(client: LocalChainClient): Promise<Impersonation> {
    if (await isDevelopmentChain(client)) return new Impersonation(client);
    throw new InvalidArgumentError(
      "A rehearsal impersonates accounts, which only a chain of Hardhat or anvil can do.",
      {
        nextStep: "Nothing was sent. Give the client of a fork on this machine.",
      },
    );
  }

  get funded(): readonly FundedAccount[] {
    return this.#funded;
  }

  /**
   * Simulates a transaction, sends it and waits for its receipt.
   *
   * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, NoContractError if it would revert
   * @throws TransactionRevertedError, RpcUnavailableError
   */
  async send(transaction: ImpersonatedTransaction): Promise<TransactionReceipt> {
    const { client } = this;
    const { from, to, data, functionName } = transaction;
    await this.#fund(from);
    await simulateCall(client, transaction);
    const doing = `sending ${functionName} as the impersonated account ${from}`;
    const transactionHash = await withRpcErrors(client, doing, async () => {
      const gas = await estimateFor(client, { from, to, data });
      await client.impersonateAccount({ address: from });
      try {
        return await sendTransaction(client, { account: from, to, data, gas: (gas * 6n) / 5n });
      } finally {
        await client.stopImpersonatingAccount({ address: from });
      }
    });
    return waitForReceipt(client, { transactionHash: parseTransactionHash(transactionHash), functionName });
  }

  async #fund(address: Address): Promise<void> {
    const { client } = this;
    if (this.#funded.some((one) => isAddressEqual(one.address, address))) return;
    const balance = await withRpcErrors(client, "reading a balance", () => getBalance(client, { address }));
    if (balance >= enough) return;
    await withRpcErrors(client, "giving an account a balance", () =>
      client.setBalance({ address, value: balance + enough }),
    );
    this.#funded = [...this.#funded, { address, balance }];
  }
}

/**
 * An account that plans as its key would, and refuses to sign. So a batch can be planned for an owner whose key is not
 * here.
 */
export function accountWithoutKey(address: Address): Account {
  const refuse = async (): Promise<never> => {
    throw new DelegationUnsupportedError(`the key of ${address} is not here: a rehearsal signs nothing`);
  };
  return {
    ...{ address, type: "local", source: "rehearsal", publicKey: "0x" },
    ...{ sign: refuse, signAuthorization: refuse, signMessage: refuse, signTransaction: refuse, signTypedData: refuse },
  };
}
