import { createRequire } from "node:module";
import { type Client, type Hex, isHex } from "viem";
import { batchExecutorAddress, deterministicDeployer } from "../../core/batch-executor.ts";
import { batchExecutorBytecode } from "../../generated/batch-executor-bytecode.ts";

/** Where Base and most chains have it; viem's chain definitions name it. */
export const multicall3Address = "0xcA11bde05977b3631167028862bE2a173976CA11";

/**
 * Puts Multicall3 at its canonical address on a simulated chain (Hardhat's own, `hardhat node` or anvil), which starts
 * without it. Only clients whose chain definition names the contract use it: pass viem's `base`, as the definition
 * Hardhat makes up for its own network names no contracts.
 */
export async function installMulticall3(client: Client): Promise<void> {
  const code = await client.request({ method: "eth_call", params: [{ data: creationCode() }, "latest"] });
  // anvil answers to Hardhat's name for this method too.
  await client.request<{ Method: "hardhat_setCode"; Parameters: [Hex, Hex | undefined]; ReturnType: boolean }>({
    method: "hardhat_setCode",
    params: [multicall3Address, code],
  });
}

/** viem ships the contract for its deployless calls, but not as an export. */
function creationCode(): Hex {
  const require = createRequire(import.meta.url);
  const constants: unknown = createRequire(require.resolve("viem"))("./constants/contracts.js");
  const code: unknown = Reflect.get(Object(constants), "multicall3Bytecode");
  if (!isHex(code)) throw new Error("This version of viem keeps the code of Multicall3 somewhere else.");
  return code;
}

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

/** Chain id of Base, which every chain started here has. */
export const baseChainId = 8453;

/**
 * What a simulated chain must know of Base to run it or to fork it. Base's own hardforks are unknown to EDR, which
 * has no history of Base at all; up to Isthmus (the Prague EVM) they are the OP stack's.
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
