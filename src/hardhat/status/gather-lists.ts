import type { ChainClient } from "../../chain/client.ts";
import type { ComposeHash, DeviceId, Hex } from "../../core/ids.ts";
import { mapLimited } from "../../core/map-limited.ts";
import type { History } from "../../history/history.ts";
import { allowedAt } from "../../history/policy.ts";
import { type Origin, readOrigin } from "../history/read-origin.ts";

export interface AllowedLists {
  readonly composeHashes: readonly ({ readonly composeHash: ComposeHash } & Origin)[];
  readonly devices: readonly ({ readonly deviceId: DeviceId } & Origin)[];
}

const fewAtOnce = { limit: 8 };

/** What is allowed at the end of a history, oldest first. @throws RpcUnavailableError */
export async function gatherLists(client: ChainClient, history: History): Promise<AllowedLists> {
  const { composeHashes, devices } = allowedAt(history.changes, undefined, history.initialFlags);
  return {
    composeHashes: await mapLimited(
      [...composeHashes],
      async ([composeHash, change]) => ({ composeHash, ...(await readOrigin(client, change)) }),
      fewAtOnce,
    ),
    devices: await mapLimited(
      [...devices],
      async ([deviceId, change]) => ({ deviceId, ...(await readOrigin(client, change)) }),
      fewAtOnce,
    ),
  };
}

/** The values alone, for the linter. */
export function valuesOf(lists: AllowedLists): { composeHashes: ComposeHash[]; devices: DeviceId[] } {
  return {
    composeHashes: lists.composeHashes.map(({ composeHash }) => composeHash),
    devices: lists.devices.map(({ deviceId }) => deviceId),
  };
}

/** Hex values in one case, to compare what the cloud and the chain say. */
export function isSameValue(one: Hex | undefined, other: Hex): boolean {
  return one?.toLowerCase() === other.toLowerCase();
}
