import type { Abi, Address, Hex } from "viem";
import { parseAppId } from "../core/ids.ts";
import { ContractOwnerError, ContractRevertedError, NotOwnerError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { ethCall } from "./eth-call.ts";
import type { Revert } from "./find-revert.ts";
import { readOwner } from "./read-owner.ts";
import { readOwnership } from "./read-ownership.ts";
import { requireCode } from "./require-code.ts";

export interface SimulateCallParameters {
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  readonly abi: Abi;
  readonly functionName: string;
}

/**
 * Runs the call on the node without sending it, and returns if it would pass.
 *
 * @throws NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function simulateCall(client: ChainClient, parameters: SimulateCallParameters): Promise<void> {
  const [answer] = await Promise.all([
    ethCall(client, { ...parameters, doing: `simulating ${parameters.functionName}` }),
    requireCode(client, { address: parameters.to }),
  ]);
  if (answer.revert !== undefined) throw await explainRevert(client, parameters, answer.revert);
}

/** The typed error of a refused call. Asks the chain who owns the contract if that is what the refusal is about. */
export async function explainRevert(
  client: ChainClient,
  { from, to, functionName }: Omit<SimulateCallParameters, "data" | "abi">,
  { errorName, reason }: Revert,
): Promise<NotOwnerError | ContractRevertedError> {
  if (errorName !== "OwnableUnauthorizedAccount")
    return new ContractRevertedError({ contract: to, functionName, reason });
  const { owner, pendingOwner } = await readOwnership(client, { appId: parseAppId(to) });
  const invited = functionName === "acceptOwnership" ? pendingOwner : undefined;
  const { kind } = await readOwner(client, { address: invited ?? owner });
  const facts = { contract: to, signer: from, owner, ...(invited !== undefined && { invited }) };
  return kind === "eoa" || kind === "renounced"
    ? new NotOwnerError(facts)
    : new ContractOwnerError({ ...facts, ownerKind: kind });
}
