import type { UpdatePlan } from "../update/plan-update.ts";
import type { UpdateResult } from "../update/run.ts";

/** Only a running CVM runs its document. */
type UpdatedCvm = Pick<UpdateResult | UpdatePlan, "outcome" | "composeHash" | "status">;

/**
 * What came of an update, in a sentence or two.
 *
 * @param cvm as the user knows it
 */
export function describeUpdated({ outcome, composeHash, status }: UpdatedCvm, cvm: string): string {
  const hash =
    composeHash === undefined ? "a document whose hash the cloud does not show" : `compose hash ${composeHash}`;
  const isRunning = status === "running";
  const isStopped = status === "stopped";
  const state = isStopped
    ? `It is stopped, and boots with ${hash} at its next start.`
    : `It has ${hash}, and its status is ${status}.`;
  switch (outcome) {
    case "updated":
      return isRunning ? `${cvm} was updated, and runs ${hash}.` : `${cvm} was updated. ${state}`;
    case "environmentReplaced":
      return isRunning
        ? `${cvm} has its new environment, and still runs ${hash}.`
        : `${cvm} has its new environment. ${state}`;
    case "unchanged":
      return isRunning
        ? `${cvm} already runs ${hash}. Nothing is left to do.`
        : `${cvm} already has what was asked for. ${state} Nothing is left to do.`;
    case "confirmed":
      return isStopped
        ? `The cloud has accepted the update of ${cvm} to ${hash}. The CVM is stopped, and stays stopped; --wait waits until it has its new document.`
        : `The cloud has accepted the update of ${cvm} to ${hash}. It now restarts the CVM; --wait waits until that is done.`;
    case "planned":
      return `${cvm} would be updated to ${hash}.`;
  }
}
