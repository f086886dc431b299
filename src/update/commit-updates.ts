import { isDstackError, RollingUpdateStoppedError } from "../errors/index.ts";
import { type CommitUpdateParameters, commitUpdate } from "./commit-update.ts";
import type { PreparedUpdate } from "./prepare-update.ts";
import type { UpdateResult } from "./run.ts";

export interface CommitUpdatesParameters extends Omit<CommitUpdateParameters, "update"> {
  /** In the order in which the CVMs restart. */
  readonly updates: readonly PreparedUpdate[];
  /** Called before each CVM. */
  readonly onStart?: ((update: PreparedUpdate) => void) | undefined;
  /** Called after each CVM that runs its new document. */
  readonly onDone?: ((update: PreparedUpdate) => void | Promise<void>) | undefined;
}

/**
 * Finishes the prepared updates of an app's CVMs, one after the other. The next CVM restarts only when the one before
 * runs its new document, so `waitForRollover` counts for a single CVM only. Stops at the first that fails. If it is
 * called again with the same ledger, it goes on with that one.
 *
 * @throws RollingUpdateStoppedError if one of several CVMs fails
 * @throws DstackError as commitUpdate for a single CVM
 *
 * @example
 * import { commitUpdates, openLedger } from "dstack-toolkit/update";
 * import { client, cloud, preparedUpdate } from "./app.js";
 * using ledger = openLedger("ledger.sqlite");
 * await commitUpdates({ cloud, chain: client, ledger, updates: [preparedUpdate] });
 */
export async function commitUpdates(parameters: CommitUpdatesParameters): Promise<readonly UpdateResult[]> {
  const { updates, onStart, onDone, ...shared } = parameters;
  const isRolling = updates.length > 1;
  const waitForRollover = isRolling || shared.waitForRollover;
  const results: UpdateResult[] = [];
  for (const [index, update] of updates.entries()) {
    onStart?.(update);
    try {
      const result = await commitUpdate({ ...shared, waitForRollover, update });
      results.push(result);
      if (result.outcome !== "confirmed") await onDone?.(update);
    } catch (error) {
      if (!isRolling || !isDstackError(error)) throw error;
      const namesOf = (some: readonly PreparedUpdate[]) => some.map(({ name, cvm }) => `${name} (${cvm})`);
      const [done, left] = [namesOf(updates.slice(0, index)), namesOf(updates.slice(index + 1))];
      const [failed = update.cvm] = namesOf([update]);
      throw new RollingUpdateStoppedError({ done, failed, left }, error);
    }
  }
  return results;
}
