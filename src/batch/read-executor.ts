import { type Address, keccak256 } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { batchExecutorCodeHash } from "../core/batch-executor.ts";
import { ExecutorMismatchError } from "../errors/index.ts";

export interface ReadExecutorParameters {
  readonly address: Address;
}

/**
 * Whether the executor is at this address, or nothing is. The endpoint answers, so this guards against a mistake and
 * not against the endpoint: an address must never be authorised because of it alone.
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
