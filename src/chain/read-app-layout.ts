import { encodeAbiParameters, type Hex, keccak256, numberToHex, pad } from "viem";
import { type AppLayout, appLayouts, gapOf, slotOfList } from "../core/app-layouts.ts";
import type { AppId } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import type { ChainClient } from "./client.ts";
import { readAppViews } from "./read-app.ts";
import { requestHex } from "./rpc-errors.ts";

export interface ReadAppLayoutParameters {
  readonly appId: AppId;
  /** Values that the app allows, as evidence of where its lists are. */
  readonly composeHashes: readonly Hex[];
  readonly devices: readonly Hex[];
  readonly blockNumber: bigint;
}

/** The public layout that the app's storage has. Or why it has none, as the end of a sentence. */
export type ReadAppLayoutReturnType =
  | { readonly layout: AppLayout; readonly problem?: undefined }
  | { readonly layout?: undefined; readonly problem: string };

/** Slots after the gap in which a variable of the user's own would be. */
const slotsAfter = 8;
/** Values that are looked up: they only show where the lists are. */
const samples = 3;

/**
 * Finds out from the app's storage which of the public layouts it has. The views say which release it could be. Then
 * every allowed value that is known must be in the slot that this release has for it, and its gap, and the slots after
 * it, must be empty: a contract of a user's own may have more variables there. A mapping leaves its slot empty, so this
 * cannot show that a user's own contract has none.
 *
 * @throws RpcUnavailableError
 */
export async function readAppLayout(
  client: ChainClient,
  { appId, composeHashes, devices, blockNumber }: ReadAppLayoutParameters,
): Promise<ReadAppLayoutReturnType> {
  const doing = "reading the app's storage";
  const calls = [{ view: "requireTcbUpToDate" }, { view: "appId" }] as const;
  const { get } = await readAppViews(client, { appId, calls, blockNumber, doing });
  const [mustBeUpToDate, named] = [get("requireTcbUpToDate"), get("appId")];
  const readWord = async (slot: Hex) => {
    const params = [appId, slot, numberToHex(blockNumber)] as const;
    return BigInt(await requestHex(client, doing, { method: "eth_getStorageAt", params }));
  };
  const read = (slots: readonly Hex[]) => mapLimited(slots, readWord, { limit: 8 });
  const isShifted = named !== undefined && BigInt(named) !== 0n && (await readWord(slotHex(0))) === BigInt(named);
  const later = mustBeUpToDate === undefined ? "0.5.4" : "0.5.9";
  const layout = appLayouts[isShifted ? "0.4.2" : later];
  const cells = [
    ...composeHashes.slice(0, samples).map((key) => cellOf(key, slotOfList(layout, "allowedComposeHashes"))),
    ...devices.slice(0, samples).map((key) => cellOf(key, slotOfList(layout, "allowedDeviceIds"))),
  ];
  if ((await read(cells)).some((word) => word !== 1n))
    return { problem: `its lists are not where a release of ${layout.releases} has them` };
  const tcb = slotOfList(layout, "requireTcbUpToDate");
  if (tcb !== undefined && (await readWord(slotHex(tcb))) !== (mustBeUpToDate ? 1n : 0n))
    return { problem: `slot ${tcb} holds more than the TCB flag of a release of ${layout.releases}` };
  const gap = gapOf(layout);
  const end = (gap.at(-1) ?? 0) + 1;
  const unused = [...gap, ...Array.from({ length: slotsAfter }, (_, index) => end + index)];
  const used = (await read(unused.map(slotHex))).findIndex((word) => word !== 0n);
  if (used !== -1) return { problem: `slot ${unused[used]} is in use, and no release of ${layout.releases} uses it` };
  return { layout };
}

function slotHex(slot: number): Hex {
  return numberToHex(slot, { size: 32 });
}

/** The slot of a mapping's value. */
function cellOf(key: Hex, slot = 0): Hex {
  return keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "uint256" }], [pad(key), BigInt(slot)]));
}
