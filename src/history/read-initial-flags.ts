import type { ChainClient } from "../chain/client.ts";
import { type ReadAppSettingsReturnType, readAppSettings } from "../chain/read-app.ts";
import type { AppId } from "../core/ids.ts";
import type { InitialFlags } from "../core/policy/allowed-at.ts";
import type { PolicyChange, PolicyChangeKind } from "../core/policy/policy-change.ts";
import { isDstackError } from "../errors/index.ts";
import { patiently } from "./ask.ts";
import type { Patience } from "./pause.ts";

const triesOfState = 6;
/** Old state is mostly refused because it is not there; a fault that looks the same has passed by the third time. */
const triesOfOldState = 3;

export interface ReadInitialFlagsParameters extends Patience {
  readonly appId: AppId;
  readonly createdInBlock: bigint;
  /** The block the changes end with. */
  readonly toBlock: bigint;
  readonly changes: readonly PolicyChange[];
}

/**
 * The flags an app was created with, by the state of that block. Where that is not served, a flag that no event ever
 * names is still what it was. Undefined for what neither tells.
 *
 * @throws the signal's reason
 */
export async function readInitialFlags(
  client: ChainClient,
  { appId, createdInBlock, toBlock, changes, ...patience }: ReadInitialFlagsParameters,
): Promise<InitialFlags> {
  const atCreation = await readSettings(createdInBlock, triesOfOldState);
  const settings = atCreation ?? (await readSettings(toBlock, triesOfState));
  const until = atCreation === undefined ? toBlock : createdInBlock;
  const unlessNamed = <value>(kind: PolicyChangeKind, value: value) =>
    changes.some((change) => change.kind === kind && change.blockNumber <= until) ? undefined : value;
  return {
    allowAnyDevice: unlessNamed("allowAnyDeviceSet", settings?.allowAnyDevice),
    requireTcbUpToDate: unlessNamed("requireTcbUpToDateSet", settings?.requireTcbUpToDate),
    upgradesDisabled: unlessNamed("upgradesDisabled", settings?.upgradesDisabled),
  };

  /** Undefined if the endpoint does not serve that block's state. */
  async function readSettings(blockNumber: bigint, tries: number): Promise<ReadAppSettingsReturnType | undefined> {
    const read = () => readAppSettings(client, { appId, blockNumber });
    try {
      return await patiently(patience, "reading the flags of the app's creation", read, tries);
    } catch (error) {
      if (isDstackError(error)) return undefined;
      throw error;
    }
  }
}
