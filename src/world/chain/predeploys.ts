import { createRequire } from "node:module";
import { type Client, type Hex, isHex } from "viem";
import { batchExecutorAddress, deterministicDeployer } from "../../core/batch-executor.ts";
import { batchExecutorBytecode } from "../../generated/batch-executor-bytecode.ts";

/** Address of Multicall3 on Base and most other chains. viem's chain definitions use it. */
export const multicall3Address = "0xcA11bde05977b3631167028862bE2a173976CA11";

/**
 * Puts Multicall3 at its canonical address on a simulated chain (Hardhat's own, `hardhat node` or anvil), which does
 * not have it. Only clients whose chain definition names the contract use it. So pass viem's `base`: Hardhat's
 * definition of its own network names no contracts.
 */
export async function installMulticall3(client: Client): Promise<void> {
  const code = await client.request({ method: "eth_call", params: [{ data: creationCode() }, "latest"] });
  // anvil also supports this Hardhat method.
  await client.request<{ Method: "hardhat_setCode"; Parameters: [Hex, Hex | undefined]; ReturnType: boolean }>({
    method: "hardhat_setCode",
    params: [multicall3Address, code],
  });
}

/** viem contains the bytecode for its deployless calls, but does not export it. */
function creationCode(): Hex {
  const require = createRequire(import.meta.url);
  const constants: unknown = createRequire(require.resolve("viem"))("./constants/contracts.js");
  const code: unknown = Reflect.get(Object(constants), "multicall3Bytecode");
  if (!isHex(code)) throw new Error("This version of viem keeps the code of Multicall3 somewhere else.");
  return code;
}

/** The proxy's 69 bytes. The first word of the calldata is the CREATE2 salt; the rest is the code to deploy. */
const deployerCode: Hex =
  "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

/**
 * Puts the deterministic-deployment proxy and the batch executor at their addresses, as on a chain on which the
 * executor was used before. Base has the proxy from its genesis, and the executor from the first batch on.
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

/** Chain id of Base. Every chain started here has it. */
export const baseChainId = 8453;

/**
 * The chain description that EDR needs to run or fork Base. EDR does not know Base or its hardforks. Up to Isthmus (the
 * Prague EVM) they are those of the OP stack.
 */
export const baseChainDescriptor = {
  name: "Base",
  chainType: "op",
  hardforkHistory: {
    bedrock: { timestamp: 0 },
    regolith: { timestamp: 0 },
    canyon: { timestamp: 1704992401 },
    ecotone: { timestamp: 1710374401 },
    fjord: { timestamp: 1720627201 },
    granite: { timestamp: 1726070401 },
    holocene: { timestamp: 1736445601 },
    isthmus: { timestamp: 1746806401 },
  },
} as const;
