import type { Client, Hex } from "viem";
import { batchExecutorAddress, deterministicDeployer } from "../core/batch-executor.ts";
import { batchExecutorBytecode } from "../generated/batch-executor-bytecode.ts";

/** The proxy's 69 bytes: they create what follows the first word of the calldata, with that word as the salt. */
const deployerCode: Hex =
  "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

/**
 * Puts the deterministic-deployment proxy and the batch executor where they are on a chain that somebody has used the
 * executor on before: Base has the first from its beginning, and the second from the first batch on.
 */
export async function installBatchExecutor(client: Client): Promise<void> {
  const code = await client.request({ method: "eth_call", params: [{ data: batchExecutorBytecode }, "latest"] });
  await setCode(client, deterministicDeployer, deployerCode);
  await setCode(client, batchExecutorAddress, code);
}

async function setCode(client: Client, address: Hex, code: Hex): Promise<void> {
  await client.request<{ Method: "hardhat_setCode"; Parameters: [Hex, Hex]; ReturnType: boolean }>({
    method: "hardhat_setCode",
    params: [address, code],
  });
}
