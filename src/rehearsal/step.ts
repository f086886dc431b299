import type { Address, TransactionReceipt } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readRollupFees } from "../chain/transactions/rollup-fees.ts";
import { type Hex, parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { type OwnerEvent, ownerEvents, type WatchedContract } from "../core/owner-events.ts";
import type { Price } from "../core/price.ts";

/** The chain's fees at the block that was forked. */
export interface LiveFees {
  /** Wei per gas. */
  readonly baseFeePerGas: bigint;
  /** Wei per gas, for the block builder. */
  readonly priorityFeePerGas: bigint;
}

/** One transaction of a rehearsal, or a wait. */
export type RehearsedStep = RehearsedTransaction | RehearsedWait;

export interface RehearsedTransaction {
  readonly kind: "transaction";
  /** What it does, without a subject: "execute the Safe's transaction 3". */
  readonly what: string;
  /** False if only the rehearsal needs it, because no key signs there. */
  readonly isLive: boolean;
  readonly from: Address;
  readonly to: Address;
  /** The owner's calls in it, in words. */
  readonly calls: readonly string[];
  readonly transactionHash: TransactionHash;
  /** On the fork. */
  readonly blockNumber: bigint;
  /** As the receipt on the fork says. */
  readonly gasUsed: bigint;
  /** Gas of the same transaction with the signatures that only the live one has. */
  readonly liveGas: bigint;
  /** Of the live transaction, at the fees of the block that was forked. */
  readonly price: Price;
  /** What the plan's contracts logged. */
  readonly events: readonly OwnerEvent[];
}

/** A delay that passed on the fork's clock. */
export interface RehearsedWait {
  readonly kind: "wait";
  readonly what: string;
  readonly seconds: bigint;
}

export interface TransactionFacts {
  readonly what: string;
  /** @default true */
  readonly isLive?: boolean;
  readonly receipt: TransactionReceipt;
  readonly data: Hex;
  readonly calls: readonly OwnerCall[];
  /** Gas that only the live transaction takes. @default 0 */
  readonly signatureGas?: bigint;
}

/** Makes the steps of one rehearsal. */
export class StepRecorder {
  readonly #client: ChainClient;
  readonly #fees: LiveFees;
  readonly #contracts: readonly WatchedContract[];
  readonly #onStep: ((step: RehearsedStep) => void) | undefined;
  #steps: readonly RehearsedStep[] = [];

  constructor(
    client: ChainClient,
    parameters: {
      readonly fees: LiveFees;
      /** Whose events count. */
      readonly contracts: readonly WatchedContract[];
      readonly onStep: ((step: RehearsedStep) => void) | undefined;
    },
  ) {
    this.#client = client;
    this.#fees = parameters.fees;
    this.#contracts = parameters.contracts;
    this.#onStep = parameters.onStep;
  }

  get steps(): readonly RehearsedStep[] {
    return this.#steps;
  }

  async addTransaction(facts: TransactionFacts): Promise<RehearsedTransaction> {
    const { what, isLive = true, receipt, data, calls, signatureGas = 0n } = facts;
    const { from, to, transactionHash, blockNumber, gasUsed } = receipt;
    const target = to ?? from;
    const gas = gasUsed + signatureGas;
    const step: RehearsedTransaction = {
      ...{ kind: "transaction", what, isLive, from, to: target },
      calls: calls.map(({ description }) => description),
      ...{ transactionHash: parseTransactionHash(transactionHash), blockNumber, gasUsed, liveGas: gas },
      price: await this.#priceOf({ to: target, data, gas }),
      events: ownerEvents(receipt.logs, this.#contracts),
    };
    return this.#add(step);
  }

  addWait(what: string, seconds: bigint): RehearsedWait {
    return this.#add({ kind: "wait", what, seconds });
  }

  #add<Step extends RehearsedStep>(step: Step): Step {
    this.#steps = [...this.#steps, step];
    this.#onStep?.(step);
    return step;
  }

  async #priceOf({
    to,
    data,
    gas,
  }: {
    readonly to: Address;
    readonly data: Hex;
    readonly gas: bigint;
  }): Promise<Price> {
    const { baseFeePerGas, priorityFeePerGas } = this.#fees;
    const { l1Fees, operatorFeeOf } = await readRollupFees(this.#client, { transactions: [{ to, data }] });
    const feePerGas = baseFeePerGas + priorityFeePerGas;
    const [executionFee, l1Fee = 0n, operatorFee] = [gas * feePerGas, l1Fees[0], operatorFeeOf(gas)];
    return { gas, feePerGas, executionFee, l1Fee, operatorFee, total: executionFee + l1Fee + operatorFee };
  }
}

/** The base fee of a block. The priority fee is what the caller's endpoint suggests: a fork does not know it. */
export async function readBaseFeeAt(client: ChainClient, blockNumber: bigint): Promise<bigint> {
  const { baseFeePerGas } = await withRpcErrors(client, "reading the fees", () => getBlock(client, { blockNumber }));
  return baseFeePerGas ?? 0n;
}

export function sumPrices(steps: readonly RehearsedStep[]): Price | undefined {
  const prices = steps.flatMap((step) => (step.kind === "transaction" && step.isLive ? step.price : []));
  const [first, ...more] = prices;
  if (first === undefined) return undefined;
  return more.reduce(
    (sum, price) => ({
      gas: sum.gas + price.gas,
      feePerGas: sum.feePerGas,
      executionFee: sum.executionFee + price.executionFee,
      l1Fee: sum.l1Fee + price.l1Fee,
      operatorFee: sum.operatorFee + price.operatorFee,
      total: sum.total + price.total,
    }),
    first,
  );
}
