import { concat, type Hex, isHex, numberToHex, pad } from "viem";
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
