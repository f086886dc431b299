import { type Address, encodeFunctionData, zeroHash } from "viem";
import type { ComposeHash, DeviceId } from "../core/ids.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { parseAddress } from "./client.ts";

/** Parameters of a new app for the factory of a KMS. */
export interface NewApp {
  readonly kms: Address;
  /** Owner of the new app. It may differ from the account that pays for the deployment. */
  readonly owner: Address;
  /** First device of the list. Default none. */
  readonly deviceId?: DeviceId | undefined;
  /** First allowed hash. Default none. */
  readonly composeHash?: ComposeHash | undefined;
  /** Default false. */
  readonly allowAnyDevice?: boolean | undefined;
  /** Whether machines with an outdated TCB are refused. Default false. */
  readonly requireTcbUpToDate?: boolean | undefined;
  /** Whether upgrades are disabled permanently. Default false. */
  readonly disableUpgrades?: boolean | undefined;
}

/** Encodes the factory call that `deployApp` sends. Equal parameters give equal bytes. @throws InvalidHexError */
export function encodeDeployApp(parameters: NewApp) {
  const { deviceId = zeroHash, composeHash = zeroHash, kms, owner } = parameters;
  const { allowAnyDevice = false, requireTcbUpToDate = false, disableUpgrades = false } = parameters;
  const functionName = "deployAndRegisterApp";
  const newOwner = parseAddress("The owner's address", owner);
  const args = [newOwner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, deviceId, composeHash] as const;
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args });
  return { to: parseAddress("The KMS address", kms), data, abi: dstackKmsAbi, functionName };
}
