import { createRequire } from "node:module";
import { type Client, type Hex, isHex } from "viem";

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
