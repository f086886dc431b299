import { type Address, keccak256 } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { batchExecutorCodeHash } from "../core/batch-executor.ts";
import { ExecutorMismatchError } from "../errors/index.ts";

export interface ReadExecutorParameters {
  readonly address: Address;
}

/**
 * Whether the executor is deployed at this address; false if the address has no code. The endpoint answers, so this
 * detects mistakes but not a dishonest endpoint. Never authorise an address because of this result alone.
 *
 * @throws ExecutorMismatchError if the address has other code; RpcUnavailableError
 */
export async function isExecutorDeployed(client: ChainClient, { address }: ReadExecutorParameters): Promise<boolean> {
  const code = await readCode(client, { address });
  if (code === "0x") return false;
  const codeHash = keccak256(code);
  if (codeHash !== batchExecutorCodeHash) throw new ExecutorMismatchError(address, codeHash, batchExecutorCodeHash);
  return true;
}
