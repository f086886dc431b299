import { type Address, isAddressEqual, zeroAddress } from "viem";
import type { Generation } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { type AppViewCall, readAppViews } from "./read-app-views.ts";

export interface ReadAllowlistParameters {
  readonly appId: AppId;
  readonly composeHash?: ComposeHash | undefined;
  readonly deviceId?: DeviceId | undefined;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

/** What an app's contract says about one hash and one device, all at one block. */
export interface ReadAllowlistReturnType {
  readonly blockNumber: bigint;
  /** On one with key epochs, the lists are those of app epoch 0 and may not be what governs. */
  readonly generation: Generation;
  readonly owner: Address;
  /** Undefined if nobody is invited to take over, or if the contract is too old for two-step transfers. */
  readonly pendingOwner: Address | undefined;
  readonly allowAnyDevice: boolean;
  /** False for contracts too old to know the flag: they do not look at the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined if no hash was asked for. */
  readonly composeHashAllowed: boolean | undefined;
  /** Whether the device itself is on the list. Undefined if no device was asked for. */
  readonly deviceListed: boolean | undefined;
  /** Whether the device may boot: listed, or any device may. Undefined if neither is known. */
  readonly deviceAllowed: boolean | undefined;
}

/**
 * Reads everything an update has to know about an app, in one request where the client's chain has Multicall3.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError; never "not allowed" for what could not be read
 */
export async function readAllowlist(
  client: ChainClient,
  { appId, composeHash, deviceId, blockNumber }: ReadAllowlistParameters,
): Promise<ReadAllowlistReturnType> {
  const calls: AppViewCall[] = [
    { view: "owner" },
    { view: "pendingOwner" },
    { view: "allowAnyDevice" },
    { view: "requireTcbUpToDate" },
  ];
  if (composeHash !== undefined) calls.push({ view: "allowedComposeHashes", key: composeHash });
  if (deviceId !== undefined) calls.push({ view: "allowedDeviceIds", key: deviceId });
  const views = await readAppViews(client, { appId, calls, blockNumber, doing: "reading the app's allowlist" });

  const pendingOwner = views.get("pendingOwner");
  const allowAnyDevice = views.get("allowAnyDevice");
  const deviceListed = deviceId === undefined ? undefined : views.get("allowedDeviceIds");
  return {
    blockNumber: views.blockNumber,
    generation: views.generation,
    owner: views.get("owner"),
    pendingOwner: pendingOwner === undefined || isAddressEqual(pendingOwner, zeroAddress) ? undefined : pendingOwner,
    allowAnyDevice,
    requireTcbUpToDate: views.get("requireTcbUpToDate") ?? false,
    composeHashAllowed: composeHash === undefined ? undefined : views.get("allowedComposeHashes"),
    deviceListed,
    deviceAllowed: allowAnyDevice || deviceListed,
  };
}
