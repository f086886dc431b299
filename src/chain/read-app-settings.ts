import {
  type Address,
  getAddress,
  type Hex,
  hexToBigInt,
  isAddressEqual,
  numberToHex,
  pad,
  slice,
  zeroAddress,
} from "viem";
import { type Generation, narrowApp } from "../core/generation.ts";
import type { AppId } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { readAppViews } from "./read-app-views.ts";
import { requestHex } from "./request-hex.ts";

/** ERC-1967: keccak256("eip1967.proxy.implementation") - 1. */
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
/** Byte 0 of this word is DstackApp's upgrades-disabled flag; it has no getter. Byte 1 is allowAnyDevice. */
const flagsSlot = 1;

export interface ReadAppSettingsParameters {
  readonly appId: AppId;
  /** Latest block if absent. */
  readonly blockNumber?: bigint | undefined;
}

export interface ReadAppSettingsReturnType {
  readonly blockNumber: bigint;
  /** With the releases whose views the app has. */
  readonly generation: Generation;
  readonly allowAnyDevice: boolean;
  /** False for contracts too old to know the flag: they do not look at the TCB status. */
  readonly requireTcbUpToDate: boolean;
  /** Undefined for contracts too old to tell. */
  readonly version: bigint | undefined;
  /** Undefined if the app is not an ERC-1967 proxy. */
  readonly implementation: Address | undefined;
  /** Once true, true for good. */
  readonly upgradesDisabled: boolean;
  /**
   * What `appId()` answers, undefined for apps without it. Only apps of v0.4.2 to v0.5.3 have it. They keep it in slot
   * 0, so their policy lies one slot later than newer code looks, and an upgrade to newer code loses the policy.
   */
  readonly shiftedAppId: Address | undefined;
}

/**
 * Reads an app's switches and which code runs behind its proxy.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError
 */
export async function readAppSettings(
  client: ChainClient,
  parameters: ReadAppSettingsParameters,
): Promise<ReadAppSettingsReturnType> {
  const doing = "reading the app's settings";
  const { blockNumber, generation, get } = await readAppViews(client, {
    ...parameters,
    calls: [
      { view: "allowAnyDevice" },
      { view: "requireTcbUpToDate" },
      { view: "version" },
      { view: "pendingOwner" },
      { view: "appId" },
    ],
    doing,
  });
  const at = numberToHex(blockNumber);
  const readWord = (slot: Hex) =>
    requestHex(doing, () => client.request({ method: "eth_getStorageAt", params: [parameters.appId, slot, at] }));
  const named = get("appId");
  const shiftedAppId = named === undefined || isAddressEqual(named, zeroAddress) ? undefined : named;
  const readFlags = async () => {
    const head = shiftedAppId === undefined ? "0x" : await readWord(numberToHex(0, { size: 32 }));
    // Another contract may have a view of this name and the later layout.
    const isShifted = shiftedAppId !== undefined && hexToBigInt(head) === hexToBigInt(shiftedAppId);
    return readWord(numberToHex(isShifted ? flagsSlot + 1 : flagsSlot, { size: 32 }));
  };
  const [implementation, flags] = await Promise.all([readWord(implementationSlot), readFlags()]);
  return {
    blockNumber,
    generation: narrowApp(generation, {
      hasTcbFlag: get("requireTcbUpToDate") !== undefined,
      isTwoStep: get("pendingOwner") !== undefined,
      isShifted: shiftedAppId !== undefined,
    }),
    allowAnyDevice: get("allowAnyDevice"),
    requireTcbUpToDate: get("requireTcbUpToDate") ?? false,
    version: get("version"),
    implementation: hexToBigInt(implementation) === 0n ? undefined : getAddress(slice(pad(implementation), -20)),
    upgradesDisabled: (hexToBigInt(flags) & 0xffn) !== 0n,
    shiftedAppId,
  };
}
