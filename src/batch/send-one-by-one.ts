import { requireCode } from "../chain/code.ts";
import { readGasLimit } from "../chain/transactions/simulate.ts";
import { mapLimited } from "../core/map-limited.ts";
import { gasCeilingOf, groupCalls } from "../core/order-calls.ts";
import { abiOf, type PolicyCall } from "../core/owner-calls.ts";
import type { BatchRun } from "./batch-run.ts";
import { type PlannedTransaction, sendTransactions } from "./send-transactions.ts";

/** Endpoints limit how many requests they take at once. */
const requestsAtOnce = 8;

/**
 * One transaction per call, for any account and any contract. All of a group are tried on the node before the first
 * is sent; calls behind one that changes who may call, or what code answers, wait until it is mined.
 */
export async function sendOneByOne(run: BatchRun): Promise<void> {
  for (const group of groupCalls(run.left)) await sendTransactions(run, await plan(run, group));
}

async function plan(run: BatchRun, calls: readonly PolicyCall[]): Promise<readonly PlannedTransaction[]> {
  const { client, account } = run.settings;
  // A call to an address without code succeeds, and does nothing.
  for (const address of new Set(calls.map(({ to }) => to))) await requireCode(client, { address });
  const toPlanned = async (call: PolicyCall): Promise<PlannedTransaction> => {
    const { to, data, functionName } = call;
    const ceiling = gasCeilingOf(functionName);
    const gas = await readGasLimit(client, {
      from: account.address,
      to,
      data,
      functionName,
      abi: abiOf(call),
      ceiling,
    });
    return { to, data, functionName, gas, calls: [call] };
  };
  return mapLimited(calls, toPlanned, { limit: requestsAtOnce });
}
