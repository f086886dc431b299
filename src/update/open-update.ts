import { randomBytes } from "node:crypto";
import type { ComposeHash } from "../core/ids.ts";
import { findOpenUpdate } from "./journal-state.ts";
import { fingerprintEnvironment } from "./steps/encrypt-environment.ts";
import type { UpdateRun, UpdateTarget } from "./update-run.ts";

/** How the cloud took the update. */
export type Opening =
  | { readonly type: "patched"; readonly composeHash: ComposeHash }
  | { readonly type: "accepted"; readonly composeHash: ComposeHash; readonly correlationId: string };

export interface OpenedUpdate {
  /** Names the update in the journal. */
  readonly update: string;
  /** Whether an earlier run had begun it and not ended it. */
  readonly isReopened: boolean;
}

/** Writes down what the cloud holds from now on; the same update once more if an earlier run left it open. */
export async function openUpdate(run: UpdateRun, target: UpdateTarget, opening: Opening): Promise<OpenedUpdate> {
  const { journal } = run;
  const subject = {
    cvm: target.key,
    appId: target.appId,
    chainId: target.chainId ?? null,
    composeHash: opening.composeHash,
    previousComposeHash: target.composeHash ?? null,
    environment: fingerprintEnvironment(run),
  };
  const open = findOpenUpdate(journal.state, subject);
  const update = open?.id ?? randomBytes(8).toString("hex");
  await journal.append({ ...opening, ...subject, update });
  return { update, isReopened: open !== undefined };
}
