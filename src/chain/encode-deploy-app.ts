import { type Address, encodeFunctionData, zeroHash } from "viem";
import type { ComposeHash, DeviceId } from "../core/ids.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { parseAddress } from "./client.ts";

/** What the factory of a KMS is told of a new app. */
export interface NewApp {
  readonly kms: Address;
  /** Who may change the new app. Not necessarily who pays for its deployment. */
  readonly owner: Address;
  /** First device of the list. Default none. */
  readonly deviceId?: DeviceId | undefined;
  /** First allowed hash. Default none. */
  readonly composeHash?: ComposeHash | undefined;
  /** Default false. */
  readonly allowAnyDevice?: boolean | undefined;
  /** Whether machines with an outdated TCB are refused. Default false. */
  readonly requireTcbUpToDate?: boolean | undefined;
  /** Whether the app's code is frozen for good. Default false. */
  readonly disableUpgrades?: boolean | undefined;
}

/** The call of the factory that `deployApp` sends: equal parameters give equal bytes. @throws InvalidHexError */
export function encodeDeployApp(parameters: NewApp) {
  const { deviceId = zeroHash, composeHash = zeroHash, kms, owner } = parameters;
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = parameters;
  const functionName = "deployAndRegisterApp";
  const newOwner = parseAddress("The owner's address", owner);
  const args = [newOwner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, deviceId, composeHash] as const;
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args });
  return { to: parseAddress("The KMS address", kms), data, abi: dstackKmsAbi, functionName };
}
