import { type Address, decodeFunctionResult, encodeFunctionData, type Hex } from "viem";
import { dstackKmsAbi } from "../abi/index.ts";
import { type AppId, type ComposeHash, type DeviceId, parseFixedHex } from "../core/ids.ts";
import { ContractRevertedError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { ethCall } from "./eth-call.ts";
import { parseAddress } from "./parse-address.ts";
import { requireCode } from "./require-code.ts";

/** What a machine reports when it asks for an app's keys. */
export interface BootInfo {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly instanceId: Address;
  readonly deviceId: DeviceId;
  readonly mrAggregated: Hex;
  readonly mrSystem: Hex;
  readonly osImageHash: Hex;
  /** As the quote says it, such as `UpToDate`; compared byte for byte. */
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

export interface ReadBootVerdictParameters {
  /** The KMS, which checks registration and OS image too; or an app, for its own rules alone. */
  readonly kms: Address;
  readonly bootInfo: BootInfo;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadBootVerdictReturnType {
  readonly isAllowed: boolean;
  /** Empty when allowed; otherwise the first rule that refused, in the contract's own words. */
  readonly reason: string;
}

/**
 * Asks the contracts whether this machine may boot this app, as the key service does at every boot.
 *
 * @throws InvalidHexError, NoContractError, RpcUnavailableError
 * @throws ContractRevertedError if the app's contract fails instead of answering
 */
export async function readBootVerdict(
  client: ChainClient,
  { bootInfo, blockNumber, ...parameters }: ReadBootVerdictParameters,
): Promise<ReadBootVerdictReturnType> {
  const kms = parseAddress("The KMS address", parameters.kms);
  const functionName = "isAppAllowed";
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [checked(bootInfo)] });
  const answer = await ethCall(client, {
    to: kms,
    data,
    blockNumber,
    abi: dstackKmsAbi,
    doing: "reading the boot verdict",
  });
  if (answer.revert !== undefined)
    throw new ContractRevertedError({ contract: kms, functionName, reason: answer.revert.reason });
  try {
    const [isAllowed, reason] = decodeFunctionResult({ abi: dstackKmsAbi, functionName, data: answer.data });
    return { isAllowed, reason };
  } catch {
    await requireCode(client, { address: kms, blockNumber });
    throw new ContractRevertedError({ contract: kms, functionName, reason: "it does not answer like a DstackKms" });
  }
}

function checked(bootInfo: BootInfo): BootInfo {
  return {
    ...bootInfo,
    instanceId: parseFixedHex("instanceId", bootInfo.instanceId, 20),
    mrAggregated: parseFixedHex("mrAggregated", bootInfo.mrAggregated, 32),
    mrSystem: parseFixedHex("mrSystem", bootInfo.mrSystem, 32),
    osImageHash: parseFixedHex("osImageHash", bootInfo.osImageHash, 32),
  };
}
