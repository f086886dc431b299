import { type Address, keccak256 } from "viem";
import type { ChainClient } from "../chain/chain-client.ts";
import { readCode } from "../chain/read-code.ts";
import { batchExecutorCodeHash } from "../core/batch/batch-executor.ts";
import { ExecutorMismatchError } from "../errors/index.ts";

export interface ReadExecutorParameters {
  readonly address: Address;
}

/**
 * Whether the code at an address is the executor's. An account that delegates hands all it has to that code, so no
 * address is trusted for what it is.
 *
 * @throws RpcUnavailableError
 */
export async function readIsExecutor(client: ChainClient, { address }: ReadExecutorParameters): Promise<boolean> {
  return keccak256(await readCode(client, { address })) === batchExecutorCodeHash;
}

/**
 * Whether the executor is at this address, or nothing is.
 *
 * @throws ExecutorMismatchError if something else is; RpcUnavailableError
 */
export async function readHasExecutor(client: ChainClient, { address }: ReadExecutorParameters): Promise<boolean> {
  const code = await readCode(client, { address });
  if (code === "0x") return false;
  const codeHash = keccak256(code);
  if (codeHash !== batchExecutorCodeHash) throw new ExecutorMismatchError(address, codeHash, batchExecutorCodeHash);
  return true;
}
