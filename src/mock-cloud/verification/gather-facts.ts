import {
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  type PublicClient,
  TransactionReceiptNotFoundError,
} from "viem";
import { alreadyRegistered } from "../../cloud/protocol.ts";
import type { AppId, ComposeHash, DeviceId, TransactionHash } from "../../core/ids.ts";
import { dstackAppAbi } from "../../generated/abi.ts";
import type { Clock } from "../clock.ts";
import { readGeneration, requireJudgeable } from "./generation.ts";
import type { RegistrationFacts } from "./judge-receipt.ts";

export interface GatherFactsParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
}

export interface Patience {
  readonly clock: Clock;
  readonly attempts: number;
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/**
 * Reads receipt and contract state with the backend's own client. A client's transaction may not have reached this
 * endpoint yet, so what is missing is looked for a few times more before it counts as missing.
 *
 * @throws whatever the last attempt threw, if the chain could not be read
 */
export async function gatherFacts(
  client: PublicClient,
  parameters: GatherFactsParameters,
  patience: Patience,
): Promise<RegistrationFacts> {
  for (let attempt = 1; ; attempt += 1) {
    const isLast = attempt >= patience.attempts;
    try {
      const facts = await readFacts(client, parameters);
      const isMissing = parameters.transactionHash === alreadyRegistered ? !facts.isHashAllowed : !facts.receipt;
      if (isLast || !isMissing) return facts;
    } catch (error) {
      if (isLast) throw error;
    }
    await patience.clock.sleep(patience.retryMs, patience.signal);
  }
}

async function readFacts(client: PublicClient, parameters: GatherFactsParameters): Promise<RegistrationFacts> {
  const { appId, composeHash, transactionHash } = parameters;
  const chainId = await client.getChainId();
  const receipt = transactionHash === alreadyRegistered ? undefined : await findReceipt(client, transactionHash);
  const blockNumber = await client.getBlockNumber();
  // Behind a load balancer the next node may lag; its state would be older than the receipt.
  if (receipt && blockNumber < receipt.blockNumber) {
    throw new Error(`The endpoint is at block ${blockNumber}, before the receipt's, ${receipt.blockNumber}.`);
  }
  const [isAllowed, generation] = await Promise.all([
    isHashAllowed(client, appId, composeHash, blockNumber),
    readGeneration(client, appId, blockNumber),
  ]);
  return { chainId, receipt, isHashAllowed: isAllowed, generation };
}

async function findReceipt(client: PublicClient, hash: TransactionHash) {
  try {
    return await client.getTransactionReceipt({ hash });
  } catch (error) {
    if (error instanceof TransactionReceiptNotFoundError) return undefined;
    throw error;
  }
}

/** False also where there is no app contract. */
async function isHashAllowed(
  client: PublicClient,
  appId: AppId,
  composeHash: ComposeHash,
  blockNumber: bigint,
): Promise<boolean> {
  try {
    return await client.readContract({
      address: appId,
      abi: dstackAppAbi,
      functionName: "allowedComposeHashes",
      args: [composeHash],
      blockNumber,
    });
  } catch (error) {
    if (contractFault(error) !== undefined) return false;
    throw error;
  }
}

/** What nodes call a refusal by the EVM, under whatever code. */
const refusals = /revert|out of gas|invalid (?:opcode|jump)|stack (?:over|under)flow|bad instruction/i;
const revertCode = 3;

/**
 * What a contract answered when it did not answer properly, as one clause. `undefined` means that the fault lies
 * with the RPC endpoint or the way to it, so nothing is known about the contract.
 */
export function contractFault(error: unknown): string | undefined {
  if (!(error instanceof BaseError)) return undefined;
  const fault = error.walk(
    (cause) =>
      cause instanceof ContractFunctionRevertedError ||
      cause instanceof ContractFunctionZeroDataError ||
      cause instanceof AbiDecodingZeroDataError ||
      cause instanceof AbiDecodingDataSizeTooSmallError,
  );
  if (fault instanceof ContractFunctionRevertedError) {
    return isRevert(fault) ? `the contract reverted: ${fault.reason ?? fault.shortMessage}` : undefined;
  }
  if (fault !== null) return "there is no such contract at the address";
  const failure = error.walk(isExecutionFailure);
  return failure instanceof BaseError ? `the call failed: ${failure.details}` : undefined;
}

/** viem takes every internal error of a node for a revert, an outage too. Only the node's own words tell. */
function isRevert(fault: ContractFunctionRevertedError): boolean {
  const hasData = fault.raw !== undefined && fault.raw !== "0x";
  return hasData || fault.walk(hasRevertCode) !== null || refusals.test(fault.details);
}

function hasRevertCode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === revertCode;
}

/** Nodes report a call that ran out of gas, or into an invalid opcode, under the code of many other problems. */
function isExecutionFailure(cause: unknown): boolean {
  const isNodeError = cause instanceof BaseError && "code" in cause && (cause.code === -32000 || cause.code === -32015);
  return isNodeError && refusals.test(cause.details);
}

export interface OnchainStatus {
  readonly isHashAllowed: boolean;
  /** By its own entry, or because any device is. */
  readonly isDeviceAllowed: boolean;
  readonly isAnyDeviceAllowed: boolean;
  /** By its own entry alone. */
  readonly isDeviceListed: boolean;
}

/**
 * Whether an app's contract allows a document and a device. Where there is no such contract nothing is allowed.
 *
 * @throws ApiError 468 for a contract of a later generation, and when the chain cannot be read
 */
export async function readOnchainStatus(
  client: PublicClient,
  { appId, composeHash, deviceId }: { appId: AppId; composeHash: ComposeHash; deviceId: DeviceId },
): Promise<OnchainStatus> {
  const contract = { address: appId, abi: dstackAppAbi } as const;
  const [isHashAllowed, isAnyDeviceAllowed, isDeviceListed] = await Promise.all([
    orFalse(client.readContract({ ...contract, functionName: "allowedComposeHashes", args: [composeHash] })),
    orFalse(client.readContract({ ...contract, functionName: "allowAnyDevice" })),
    orFalse(client.readContract({ ...contract, functionName: "allowedDeviceIds", args: [deviceId] })),
    requireJudgeable(client, appId),
  ]);
  const isDeviceAllowed = isAnyDeviceAllowed || isDeviceListed;
  return { isHashAllowed, isDeviceAllowed, isAnyDeviceAllowed, isDeviceListed };
}

async function orFalse(reading: Promise<boolean>): Promise<boolean> {
  try {
    return await reading;
  } catch (error) {
    if (contractFault(error) !== undefined) return false;
    throw error;
  }
}
