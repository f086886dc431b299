import {
  type PublicClient,
  TransactionNotFoundError,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
} from "viem";
import { alreadyRegistered } from "../../cloud/protocol.ts";
import type { AppId, ComposeHash, DeviceId, Hex, TransactionHash } from "../../core/ids.ts";
import { withRetry } from "../../core/retry.ts";
import { dstackAppAbi, dstackKmsAbi } from "../../generated/abi.ts";
import type { Clock } from "../clock.ts";
import { contractFault, readGenerations, requireJudgeable } from "./generation.ts";
import type { JudgedReceipt, RegistrationEvidence } from "./judge-receipt.ts";

export interface ReadRegistrationParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly transactionHash: TransactionHash | typeof alreadyRegistered;
  /** Also reads whether this DstackKms has registered the app. */
  readonly kms?: Hex | undefined;
}

export interface RetryLimits {
  readonly clock: Clock;
  readonly attempts: number;
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/** What was read, with the block of the receipt. */
export interface ReadEvidence extends RegistrationEvidence {
  readonly receipt: (JudgedReceipt & { readonly blockNumber: bigint }) | undefined;
}

/**
 * Reads the receipt and the contract's state with the backend's own client. A client's transaction may not have reached
 * this endpoint yet, so a missing receipt or hash is read again a few times before it counts as missing.
 *
 * @throws the error of the last attempt, if the chain could not be read
 */
export function readRegistration(
  client: PublicClient,
  parameters: ReadRegistrationParameters,
  { clock, attempts, retryMs, signal }: RetryLimits,
): Promise<ReadEvidence> {
  const pauseAfter = (error: unknown, tries: number) => {
    if (tries >= attempts) throw error;
    return retryMs;
  };
  return withRetry({ clock, signal, pauseAfter }, async (tries) => {
    const evidence = await readRegistrationOnce(client, parameters);
    const isMissing = parameters.transactionHash === alreadyRegistered ? !evidence.isHashAllowed : !evidence.receipt;
    if (isMissing && tries < attempts) throw new Error("The endpoint does not show the registration yet.");
    return evidence;
  });
}

async function readRegistrationOnce(
  client: PublicClient,
  parameters: ReadRegistrationParameters,
): Promise<ReadEvidence> {
  const { appId, composeHash, transactionHash, kms } = parameters;
  const chainId = await client.getChainId();
  const seen = transactionHash === alreadyRegistered ? undefined : await findReceipt(client, transactionHash);
  const blockNumber = await client.getBlockNumber();
  // Behind a load balancer the next node may lag. Its state would be older than the receipt.
  if (seen && blockNumber < seen.blockNumber) {
    throw new Error(`The endpoint is at block ${blockNumber}, before the receipt's, ${seen.blockNumber}.`);
  }
  const [isAllowed, isRegistered, [generation], receipt] = await Promise.all([
    isHashAllowed(client, appId, composeHash, blockNumber),
    kms && isAppRegistered(client, kms, appId, blockNumber),
    readGenerations(client, [appId], blockNumber),
    seen && onThisChain(client, seen),
  ]);
  const isPending = transactionHash !== alreadyRegistered && !receipt && (await isKnown(client, transactionHash));
  return { chainId, receipt, isPending, isHashAllowed: isAllowed, isAppRegistered: isRegistered, generation };
}

/** Undefined if no block has the transaction: a receipt of a node's pending block has no number. */
async function findReceipt(client: PublicClient, hash: TransactionHash): Promise<TransactionReceipt | undefined> {
  try {
    const receipt = await client.getTransactionReceipt({ hash });
    // A cache or a proxy may answer for another transaction, and then says nothing about this one.
    if (receipt.transactionHash.toLowerCase() !== hash) {
      throw new Error(`The endpoint returned the receipt of ${receipt.transactionHash} for ${hash}.`);
    }
    return receipt.blockNumber === null ? undefined : receipt;
  } catch (error) {
    if (error instanceof TransactionReceiptNotFoundError) return undefined;
    throw error;
  }
}

/** The receipt, if its block is still part of the chain. After a reorganisation, some nodes serve old receipts. */
async function onThisChain(client: PublicClient, receipt: TransactionReceipt): Promise<TransactionReceipt | undefined> {
  const { hash } = await client.getBlock({ blockNumber: receipt.blockNumber });
  return hash === receipt.blockHash ? receipt : undefined;
}

/** Whether the endpoint knows the transaction, mined or not. */
async function isKnown(client: PublicClient, hash: TransactionHash): Promise<boolean> {
  try {
    await client.getTransaction({ hash });
    return true;
  } catch (error) {
    if (error instanceof TransactionNotFoundError) return false;
    throw error;
  }
}

/** Also false if there is no app contract. */
export function isHashAllowed(
  client: PublicClient,
  appId: AppId,
  composeHash: ComposeHash,
  blockNumber: bigint,
): Promise<boolean> {
  return orFalse(
    client.readContract({
      address: appId,
      abi: dstackAppAbi,
      functionName: "allowedComposeHashes",
      args: [composeHash],
      blockNumber,
    }),
  );
}

/** Also false if there is no KMS contract. */
function isAppRegistered(client: PublicClient, kms: Hex, appId: AppId, blockNumber: bigint): Promise<boolean> {
  const contract = { address: kms, abi: dstackKmsAbi, blockNumber } as const;
  return orFalse(client.readContract({ ...contract, functionName: "registeredApps", args: [appId] }));
}

export interface OnchainStatus {
  readonly isHashAllowed: boolean;
  /** The device is listed, or the app allows any device. */
  readonly isDeviceAllowed: boolean;
  readonly isAnyDeviceAllowed: boolean;
  /** The device is listed. */
  readonly isDeviceListed: boolean;
}

/**
 * Reads whether an app's contract allows a document and a device. Without an app contract, nothing is allowed.
 *
 * @throws ApiError 468 for a contract of a later generation; the client's error when the chain cannot be read
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
