import { NoContractError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { type ReadCodeParameters, readCode } from "./read-code.ts";

/**
 * A call to an address without code succeeds and returns nothing, which reads like "not allowed" or "done".
 *
 * @throws NoContractError, RpcUnavailableError
 */
export async function requireCode(client: ChainClient, parameters: ReadCodeParameters): Promise<void> {
  if ((await readCode(client, parameters)) === "0x") throw new NoContractError(parameters.address, client.chain?.id);
}
