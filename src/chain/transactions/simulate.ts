import type { Abi, Address, Hex, SignedAuthorization } from "viem";
import { estimateGas } from "viem/actions";
import { parseAppId } from "../../core/ids.ts";
import { gasCeilingOf } from "../../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../../core/owner-calls.ts";
import {
  ContractOwnerError,
  ContractRevertedError,
  ImplausibleAnswerError,
  NotOwnerError,
} from "../../errors/index.ts";
import { ethCall } from "../calls.ts";
import type { ChainClient } from "../client.ts";
import { requireCode } from "../code.ts";
import { readOwnership } from "../read-app.ts";
import { readOwner } from "../read-owner.ts";
import { findRevert, type Revert, translateChainError } from "../rpc-errors.ts";
import { withFundsError } from "./price.ts";

export interface SimulateCallParameters {
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  readonly abi: Abi;
  readonly functionName: string;
}

/**
 * Runs the call on the node without sending it. Returns normally if it would succeed.
 *
 * @throws NoContractError, NotOwnerError, ContractOwnerError, ContractRevertedError, InsufficientFundsError,
 * RpcUnavailableError
 */
export async function simulateCall(client: ChainClient, parameters: SimulateCallParameters): Promise<void> {
  const [answer] = await Promise.all([
    withFundsError(client, { address: parameters.from }, () =>
      ethCall(client, { ...parameters, doing: `simulating ${parameters.functionName}` }),
    ),
    requireCode(client, { address: parameters.to }),
  ]);
  if (answer.revert !== undefined) throw await explainRevert(client, parameters, answer.revert);
}

/** Returns the typed error of a reverted call. If the revert is about ownership, reads the owner from the chain. */
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
  const details = { contract: to, signer: from, owner, ...(invited !== undefined && { invited }) };
  return kind === "eoa" || kind === "renounced"
    ? new NotOwnerError(details)
    : new ContractOwnerError({ ...details, ownerKind: kind });
}

export interface ReadGasLimitParameters extends SimulateCallParameters {
  /** Highest gas limit of the call. It must not come from the endpoint. */
  readonly ceiling: bigint;
  /** Estimates as if the account delegated with this authorisation (EIP-7702). */
  readonly authorization?: SignedAuthorization | undefined;
}

/**
 * Returns the node's gas estimate plus one fifth, at most `ceiling`: the state may change before the transaction is
 * mined.
 *
 * @throws ImplausibleAnswerError if the estimate is above the ceiling
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function readGasLimit(client: ChainClient, parameters: ReadGasLimitParameters): Promise<bigint> {
  return (await readGas(client, parameters)).gasLimit;
}

export interface ReadGasReturnType {
  /** The node's estimate. */
  readonly gas: bigint;
  /** What `readGasLimit` returns. */
  readonly gasLimit: bigint;
}

/** As `readGasLimit`, with the estimate itself. */
export async function readGas(
  client: ChainClient,
  { authorization, ceiling, ...call }: ReadGasLimitParameters,
): Promise<ReadGasReturnType> {
  const { from, to, data, abi, functionName } = call;
  const authorizationList = authorization === undefined ? undefined : [authorization];
  let estimate: bigint;
  try {
    estimate = await estimateFor(client, { from, to, data, authorizationList });
  } catch (error) {
    const revert = findRevert(client, error, abi);
    if (revert === undefined) throw translateChainError(client, error, `estimating the gas of ${functionName}`);
    throw await explainRevert(client, call, revert);
  }
  return { gas: estimate, gasLimit: withRoom(estimate, { ceiling, functionName }) };
}

export interface EstimateForParameters {
  readonly from: Address;
  readonly to: Address;
  readonly data?: Hex | undefined;
  readonly authorizationList?: SignedAuthorization[] | undefined;
}

/**
 * Sends one `eth_estimateGas`.
 *
 * @throws InsufficientFundsError, the client's errors
 */
export function estimateFor(
  client: ChainClient,
  { from, to, data, authorizationList }: EstimateForParameters,
): Promise<bigint> {
  return withFundsError(client, { address: from }, () =>
    estimateGas(client, { account: from, to, data, authorizationList }),
  );
}

/** Returns the gas limit to sign for an estimate. @throws ImplausibleAnswerError */
export function withRoom(
  estimate: bigint,
  { ceiling, functionName }: Pick<ReadGasLimitParameters, "ceiling" | "functionName">,
): bigint {
  if (estimate > ceiling) {
    throw new ImplausibleAnswerError({ what: `the gas of ${functionName}`, answer: estimate, most: ceiling });
  }
  const wanted = (estimate * 6n) / 5n;
  return wanted > ceiling ? ceiling : wanted;
}

/** A transaction without fees and nonce. */
export interface TransactionIntent {
  readonly to: Address;
  readonly data: Hex;
  /** Gas limit. */
  readonly gas: bigint;
  readonly functionName: string;
  /** The owner's calls in it. */
  readonly calls: readonly OwnerCall[];
  /** Signs the sender's own authorisation (EIP-7702) for the transaction's nonce. */
  readonly authorize?: ((transactionNonce: number) => Promise<SignedAuthorization>) | undefined;
}

/**
 * Tries one owner's call on the node, and returns the transaction that makes it.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, ImplausibleAnswerError, RpcUnavailableError
 */
export async function readIntent(
  client: ChainClient,
  { from, call }: { readonly from: Address; readonly call: OwnerCall },
): Promise<TransactionIntent> {
  const { to, data, functionName } = call;
  const ceiling = gasCeilingOf(call);
  const gas = await readGasLimit(client, { from, to, data, functionName, abi: abiOf(call), ceiling });
  return { to, data, functionName, gas, calls: [call] };
}
