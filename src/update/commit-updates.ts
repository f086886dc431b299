import { isDstackError, RollingUpdateStoppedError } from "../errors/index.ts";
import { type CommitUpdateParameters, commitUpdate } from "./commit-update.ts";
import type { PreparedUpdate } from "./prepare-update.ts";
import type { UpdateResult } from "./run.ts";

export interface CommitUpdatesParameters extends Omit<CommitUpdateParameters, "update"> {
  /** In the order in which the CVMs restart. Those that are done are left out, and an error names them as done. */
  readonly updates: readonly (PreparedUpdate & { readonly isDone?: boolean | undefined })[];
  /** Called before each CVM. */
  readonly onStart?: ((update: PreparedUpdate) => void) | undefined;
  /** Called after each CVM that has its new document. */
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
  const left = updates.filter(({ isDone }) => isDone !== true);
  const done: PreparedUpdate[] = updates.filter(({ isDone }) => isDone === true);
  for (const [index, { isDone: _, ...update }] of left.entries()) {
    onStart?.(update);
    try {
      const result = await commitUpdate({ ...shared, waitForRollover, update });
      results.push(result);
      done.push(update);
      if (result.outcome !== "confirmed") await onDone?.(update);
    } catch (error) {
      if (!isRolling || !isDstackError(error)) throw error;
      const nameOf = ({ name, cvm }: PreparedUpdate) => `${name} (${cvm})`;
      const names = { done: done.map(nameOf), failed: nameOf(update), left: left.slice(index + 1).map(nameOf) };
      throw new RollingUpdateStoppedError(names, error);
    }
  }
  return results;
}
