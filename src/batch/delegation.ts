import { type Account, type Address, keccak256, type SignedAuthorization } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { batchExecutorCodeHash } from "../core/batch-executor.ts";
import { DelegationUnsupportedError, ExecutorMismatchError } from "../errors/index.ts";
import type { BatchRun } from "./run.ts";

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

export interface SignDelegationParameters {
  /** The zero address ends a delegation. */
  readonly to: Address;
  /** Of the transaction that carries it; a sender's own authorisation takes the next. */
  readonly transactionNonce: number;
}

/**
 * Signs the authorisation by which the account delegates, on this chain alone and for one transaction.
 *
 * @throws DelegationUnsupportedError if the key is with the node or a wallet
 */
export async function signDelegation(
  run: BatchRun,
  { to, transactionNonce }: SignDelegationParameters,
): Promise<SignedAuthorization> {
  const { account, chainId } = run.settings;
  const sign = signerOf(account);
  if (sign === undefined) throw new DelegationUnsupportedError("the key that must sign the authorisation is not here");
  // Chain id 0 would let it be replayed on every other chain.
  return sign({ address: to, chainId, nonce: transactionNonce + 1 });
}

/** Undefined for accounts that cannot sign authorisations. */
export function signerOf(account: Account) {
  return account.type === "local" ? account.signAuthorization : undefined;
}
