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

export interface SignDelegationParameters {
  /** The zero address ends a delegation. */
  readonly to: Address;
  /** Nonce of the transaction that carries the authorisation. The sender's own authorisation uses the next nonce. */
  readonly transactionNonce: number;
}

/**
 * Signs the account's delegation, valid on this chain only and for one transaction.
 *
 * @throws DelegationUnsupportedError if the key is with the node or a wallet
 */
export async function signDelegation(
  run: BatchRun,
  { to, transactionNonce }: SignDelegationParameters,
): Promise<SignedAuthorization> {
  const { account, chainId } = run;
  const sign = signerOf(account);
  if (sign === undefined)
    throw new DelegationUnsupportedError("the key that must sign the authorisation is not in this process");
  // With chain id 0, the authorisation could be replayed on every other chain.
  return sign({ address: to, chainId, nonce: transactionNonce + 1 });
}

/** Undefined for accounts that cannot sign authorisations. */
export function signerOf(account: Account) {
  return account.type === "local" ? account.signAuthorization : undefined;
}
