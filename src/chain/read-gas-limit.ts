import type { SignedAuthorization } from "viem";
import { estimateGas } from "viem/actions";
import { ImplausibleAnswerError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { findRevert } from "./find-revert.ts";
import { explainRevert, type SimulateCallParameters } from "./simulate-call.ts";
import { translateChainError } from "./translate-chain-error.ts";

export interface ReadGasLimitParameters extends SimulateCallParameters {
  /** Most gas the call may ask for. It must not come from the endpoint. */
  readonly ceiling: bigint;
  /** Estimates as if the account delegated by this (EIP-7702). */
  readonly authorization?: SignedAuthorization | undefined;
}

/**
 * A fifth more than the node's estimate, in gas: the state may move before the transaction is mined.
 *
 * @throws ImplausibleAnswerError if the estimate is above the ceiling
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function readGasLimit(
  client: ChainClient,
  { authorization, ceiling, ...call }: ReadGasLimitParameters,
): Promise<bigint> {
  const { from, to, data, abi, functionName } = call;
  const authorizationList = authorization === undefined ? undefined : [authorization];
  let estimate: bigint;
  try {
    estimate = await estimateGas(client, { account: from, to, data, authorizationList });
  } catch (error) {
    const revert = findRevert(error, abi);
    if (revert === undefined) throw translateChainError(error, `estimating the gas of ${functionName}`);
    throw await explainRevert(client, call, revert);
  }
  return withRoom(estimate, { ceiling, functionName });
}

/** The limit to sign for what was estimated. @throws ImplausibleAnswerError */
export function withRoom(
  estimate: bigint,
  { ceiling, functionName }: Pick<ReadGasLimitParameters, "ceiling" | "functionName">,
): bigint {
  if (estimate > ceiling) {
    throw new ImplausibleAnswerError({ what: `the gas of ${functionName}`, told: estimate, most: ceiling });
  }
  const wanted = (estimate * 6n) / 5n;
  return wanted > ceiling ? ceiling : wanted;
}
