import { numberToHex } from "viem";
import type { Intercept, RpcRequest } from "./intercepted-client.ts";

export interface ReorganiseParameters {
  /** Asks the chain itself. */
  readonly ask: (request: RpcRequest) => Promise<unknown>;
  /** What happens on the new branch before its first blocks. */
  readonly meanwhile?: () => Promise<void>;
}

/**
 * A node whose chain is reorganised between inclusion and `safe`: when it is first asked for the safe block, everything
 * since the first broadcast is gone, and a branch with more blocks is there.
 */
export function reorganisingBeforeSafe({ ask, meanwhile }: ReorganiseParameters): Intercept {
  let snapshot: unknown;
  let isReorganised = false;
  return async ({ method, params }, pass) => {
    if (method === "eth_sendRawTransaction") snapshot ??= await ask({ method: "evm_snapshot", params: [] });
    if (method === "eth_getBlockByNumber" && params?.[0] === "safe" && snapshot !== undefined && !isReorganised) {
      isReorganised = true;
      const readHeight = async () => Number(await ask({ method: "eth_blockNumber", params: [] }));
      const old = await readHeight();
      await ask({ method: "evm_revert", params: [snapshot] });
      await meanwhile?.();
      await ask({ method: "hardhat_mine", params: [numberToHex(old - (await readHeight()) + 1)] });
    }
    return pass();
  };
}
