import {
  type Address,
  concat,
  type Hex,
  isHex,
  keccak256,
  numberToHex,
  pad,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerializedEIP7702,
} from "viem";
import { l1BlockAddress } from "./predeploys.ts";
import { gasCap, parseQuantity } from "./rpc-faults.ts";
import type { AnswerRpc } from "./rpc-server.ts";

/**
 * Answers `eth_call` and `eth_estimateGas` as nodes of the OP stack do, where a call takes no L1 data fee and no operator
 * fee. EDR takes both, so it refuses a call from an account without ETH, such as a Safe. Only such a call is repeated,
 * with scalars of zero. EDR cannot override state in an estimate, so the gas is then found by calls.
 */
export function withoutFeesOfCalls(request: AnswerRpc): AnswerRpc {
  return async (method, params) => {
    if (method !== "eth_call" && method !== "eth_estimateGas") return request(method, params);
    try {
      return await request(method, params);
    } catch (error) {
      if (!isForLackOfFunds(error)) throw error;
      const [call, block = "latest", overrides = {}] = params;
      const run = (gas?: bigint) => {
        const limited = gas === undefined ? call : { ...Object(call), gas: numberToHex(gas) };
        return request("eth_call", [limited, block, { ...Object(overrides), ...zeroScalars }]);
      };
      return method === "eth_call" ? run() : findGas(call, run);
    }
  };
}

function isForLackOfFunds(error: unknown): boolean {
  return error instanceof Error && error.message.includes("doesn't have enough funds");
}

const zero = pad("0x", { size: 32 });
/** The slots of L1Block with the scalars of the L1 data fee and with the operator fee. */
const zeroScalars = { [l1BlockAddress]: { stateDiff: { [slot(3)]: zero, [slot(8)]: zero } } };

function slot(index: number): Hex {
  return concat([pad("0x", { size: 31 }), numberToHex(index, { size: 1 })]);
}

/** As precise as the estimates of geth. */
const precision = 64n;
const leastGas = 21_000n;

/** The lowest gas limit with which the call passes. Rejects as the call does if it never passes. */
async function findGas(call: unknown, run: (gas: bigint) => Promise<unknown>): Promise<Hex> {
  const { gas } = Object(call) as { readonly gas?: unknown };
  let enough = parseQuantity(gas) ?? gasCap;
  await run(enough);
  let tooLittle = leastGas - 1n;
  while (enough - tooLittle > enough / precision) {
    const middle = (enough + tooLittle) / 2n;
    const passes = await run(middle).then(isHex, () => false);
    if (passes) enough = middle;
    else tooLittle = middle;
  }
  return numberToHex(enough);
}

/** Whether this is a signed EIP-7702 transaction (type 4). */
export function isTypeFour(raw: unknown): raw is TransactionSerializedEIP7702 {
  return isHex(raw) && raw.toLowerCase().startsWith("0x04");
}

/**
 * Sends a signed transaction of type 4. On an OP stack chain, EDR can run such a transaction but cannot decode it. So
 * EDR signs the same transaction again with its own keys, which gives the same bytes and hash. It has only the keys of
 * Hardhat's well-known accounts.
 */
export async function sendTypeFour(request: AnswerRpc, raw: TransactionSerializedEIP7702): Promise<unknown> {
  const [from, accounts] = await Promise.all([
    recoverTransactionAddress({ serializedTransaction: raw }),
    request("eth_accounts", []),
  ]);
  if (!(accounts as readonly Address[]).some((account) => account.toLowerCase() === from.toLowerCase())) {
    throw Object.assign(
      new Error("Invalid transaction type 4: this simulated chain accepts it only from Hardhat's own accounts."),
      { code: -32_000 },
    );
  }
  const hash = await request("eth_sendTransaction", [toRequest(from, raw)]);
  if (hash !== keccak256(raw))
    throw new Error("The simulated chain created another transaction from the signed bytes.");
  return hash;
}

function toRequest(from: Address, raw: TransactionSerializedEIP7702) {
  const { to, data, value, gas, nonce, chainId, maxFeePerGas, maxPriorityFeePerGas, accessList, authorizationList } =
    parseTransaction(raw);
  return {
    from,
    to,
    data: data ?? "0x",
    value: toQuantity(value),
    gas: toQuantity(gas),
    nonce: toQuantity(nonce),
    chainId: toQuantity(chainId),
    maxFeePerGas: toQuantity(maxFeePerGas),
    maxPriorityFeePerGas: toQuantity(maxPriorityFeePerGas),
    accessList: accessList ?? [],
    authorizationList: (authorizationList ?? []).map((authorization) => ({
      chainId: toQuantity(authorization.chainId),
      address: authorization.address,
      nonce: toQuantity(authorization.nonce),
      yParity: toQuantity(authorization.yParity),
      r: authorization.r,
      s: authorization.s,
    })),
  };
}

function toQuantity(value: number | bigint | undefined): Hex {
  return numberToHex(value ?? 0);
}
