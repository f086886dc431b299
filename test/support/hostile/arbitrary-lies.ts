import fc from "fast-check";
import { concat, type Hex, maxUint256, numberToHex, padHex, zeroHash } from "viem";
import {
  batchExecutorAddress,
  deterministicDeployer,
  earlierBatchExecutors,
} from "../../../src/core/batch-executor.ts";
import type { Lie } from "./lying-rpc.ts";

/** The attacker's address, an account or a contract. */
export const attacker: Hex = `0x${"a7".repeat(20)}`;

/** The predeploy with the fees of an OP Stack chain. */
const gasPriceOracle: Hex = "0x420000000000000000000000000000000000000f";

/** The accounts and contracts that an endpoint can lie about. */
export interface Subjects {
  readonly account: Hex;
  readonly contracts: readonly Hex[];
  /** Runtime code of the batch executor, which the attacker's contract may seem to have. */
  readonly executorCode: Hex;
}

const quantity = fc.oneof(
  fc.constantFrom(0n, 1n, 2n ** 53n, 2n ** 63n, 2n ** 255n),
  fc.bigInt({ min: 0n, max: 10n ** 7n }),
  fc.bigInt({ min: 0n, max: 2n ** 80n }),
);
const hexQuantity = quantity.map((value) => numberToHex(value));
const faults = [
  "transaction type not supported",
  "already known",
  "nonce too low",
  "replacement transaction underpriced",
  "insufficient funds for gas * price + value",
  "execution reverted",
  "the method does not exist",
].map((message) => ({ fault: { code: -32_000, message } }));

/**
 * What an endpoint answers to get a signature: single lies of the right shape, and those that only do harm together or at
 * the right moment, which chance alone would hardly ever combine.
 */
export function arbitraryLies(subjects: Subjects): fc.Arbitrary<readonly Lie[]> {
  const { account } = subjects;
  const code = (of: Hex, value: Hex, at?: number): Lie => ({ method: "eth_getCode", of, at, answer: { value } });
  const wild = (method: string): Lie => ({ method, answer: { value: numberToHex(9n * 10n ** 15n) } });
  const created: Lie = { method: "eth_getTransactionReceipt", answer: { fields: { contractAddress: attacker } } };
  const plot = fc.oneof(
    { arbitrary: arbitraryLie(subjects).map((lie) => [lie]), weight: 6 },
    { arbitrary: fc.nat(4).map((at) => [code(account, concat(["0xef0100", attacker]), at)]), weight: 3 },
    {
      arbitrary: fc.constantFrom<Lie[]>(
        [code(deterministicDeployer, "0x"), code(batchExecutorAddress, "0x")],
        [created],
        [wild("eth_maxPriorityFeePerGas")],
        [wild("eth_estimateGas")],
      ),
      weight: 6,
    },
  );
  return fc.array(plot, { minLength: 1, maxLength: 4 }).map((plots) => plots.flat());
}

/** The false answers of each method. */
function arbitraryLie({ account, contracts, executorCode }: Subjects): fc.Arbitrary<Lie> {
  const delegated = (to: Hex) => concat(["0xef0100", to]);
  const codes: readonly Hex[] = [
    "0x",
    "0x00",
    executorCode,
    delegated(attacker),
    delegated(batchExecutorAddress),
    ...earlierBatchExecutors.map(delegated),
    delegated(account),
  ];
  const swap = fc.constantFrom<{ swap: readonly [Hex, Hex] }>(
    ...[account, ...contracts].map((address) => ({ swap: [address, attacker] as const })),
  );
  const value = <Value>(values: fc.Arbitrary<Value>) => values.map((one) => ({ value: one as unknown }));
  const fields = (names: readonly string[], values: fc.Arbitrary<unknown>) =>
    fc.tuple(fc.constantFrom(...names), values).map(([name, one]) => ({ fields: { [name]: one } }));
  const words = fc.constantFrom<Hex>(
    "0x",
    zeroHash,
    padHex("0x1"),
    numberToHex(maxUint256),
    padHex(attacker),
    padHex(account),
  );
  const known = [batchExecutorAddress, deterministicDeployer, gasPriceOracle, ...contracts];
  const addresses = fc.constantFrom<Hex>(account, attacker, ...known);

  const answers: Readonly<Record<string, fc.Arbitrary<Lie["answer"]>>> = {
    eth_chainId: value(fc.constantFrom("0x0", "0x1", "0x2105", "0x7a69")),
    eth_getCode: value(fc.constantFrom(...codes)),
    eth_getTransactionCount: value(hexQuantity),
    eth_getBalance: value(hexQuantity),
    eth_estimateGas: value(hexQuantity),
    eth_maxPriorityFeePerGas: value(hexQuantity),
    eth_gasPrice: value(hexQuantity),
    eth_blockNumber: value(hexQuantity),
    eth_getBlockByNumber: fc.oneof(
      fields(["baseFeePerGas", "number", "timestamp", "gasLimit"], hexQuantity),
      fields(["hash", "parentHash"], fc.constant(padHex(attacker))),
      swap,
    ),
    eth_call: fc.oneof(value(words), swap),
    eth_getStorageAt: value(words),
    eth_getLogs: fc.oneof(value(fc.constant([])), swap),
    eth_getTransactionReceipt: fc.oneof(
      fields(["contractAddress", "to", "from"], addresses),
      fields(["status"], fc.constantFrom("0x0", "0x1")),
      fields(["logs"], fc.constant([])),
      fields(["gasUsed", "effectiveGasPrice", "blockNumber"], hexQuantity),
      fields(["l1Fee", "operatorFeeScalar", "operatorFeeConstant"], fc.oneof(hexQuantity, fc.constant("no fee"))),
      swap,
    ),
    eth_getTransactionByHash: fc.oneof(value(fc.constant(null)), fields(["to", "from"], addresses)),
    eth_sendRawTransaction: value(fc.constant(padHex(attacker))),
    eth_accounts: value(fc.constant([attacker])),
  };
  return fc.constantFrom(...Object.keys(answers)).chain((method) =>
    fc.record({
      method: fc.constant(method),
      of: ["eth_getCode", "eth_getTransactionCount", "eth_getBalance", "eth_call"].includes(method)
        ? fc.option(addresses, { nil: undefined })
        : fc.constant(undefined),
      at: fc.option(fc.nat(4), { nil: undefined }),
      answer: fc.oneof(
        { arbitrary: answers[method] ?? swap, weight: 9 },
        { arbitrary: fc.constantFrom(...faults), weight: 1 },
      ),
    }),
  );
}
