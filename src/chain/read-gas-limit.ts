import type { SignedAuthorization } from "viem";
import { estimateGas } from "viem/actions";
import type { ChainClient } from "./chain-client.ts";
import { findRevert } from "./find-revert.ts";
import { explainRevert, type SimulateCallParameters } from "./simulate-call.ts";
import { translateChainError } from "./translate-chain-error.ts";

export interface ReadGasLimitParameters extends SimulateCallParameters {
  /** Estimates as if the account delegated by this (EIP-7702). */
  readonly authorization?: SignedAuthorization | undefined;
}

/**
 * A fifth more than the node's estimate, in gas: the state may move before the transaction is mined.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function readGasLimit(
  client: ChainClient,
  { authorization, ...call }: ReadGasLimitParameters,
): Promise<bigint> {
  const { from, to, data, abi, functionName } = call;
  const authorizationList = authorization === undefined ? undefined : [authorization];
  try {
    return ((await estimateGas(client, { account: from, to, data, authorizationList })) * 6n) / 5n;
  } catch (error) {
    const revert = findRevert(error, abi);
    if (revert === undefined) throw translateChainError(error, `estimating the gas of ${functionName}`);
    throw await explainRevert(client, call, revert);
  }
}
