import { type Hex, isHex } from "viem";
import { RpcUnavailableError } from "../errors/index.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * Runs a request whose answer must be hex. A proxy that answers 200 with some other JSON yields undefined, and a
 * client library then reads undefined as "no code" or "zero".
 *
 * @throws RpcUnavailableError
 */
export async function requestHex(doing: string, request: () => Promise<unknown>): Promise<Hex> {
  const answer = await duringRpc(doing, request);
  if (isHex(answer)) return answer;
  throw new RpcUnavailableError(doing, { cause: new Error("The endpoint's answer holds no result.") });
}
