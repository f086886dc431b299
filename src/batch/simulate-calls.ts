import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { simulateCall } from "../chain/transactions/simulate.ts";
import { mapLimited } from "../core/map-limited.ts";
import { groupCalls } from "../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";

/** Endpoints limit the number of parallel requests. */
const requestsAtOnce = 8;

/**
 * Simulates ordered calls on the node, except those behind a call that changes who may call or which code runs.
 *
 * @param from the account whose calls they are
 * @throws NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function simulateCalls(
  client: ChainClient,
  { from, calls }: { readonly from: Address; readonly calls: readonly OwnerCall[] },
): Promise<void> {
  const simulate = (call: OwnerCall) => {
    const { to, data, functionName } = call;
    return simulateCall(client, { from, to, data, functionName, abi: abiOf(call) });
  };
  await mapLimited(groupCalls(calls)[0] ?? [], simulate, { limit: requestsAtOnce });
}
