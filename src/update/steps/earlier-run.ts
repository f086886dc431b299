import { randomBytes } from "node:crypto";
import type { ComposeHash } from "../../core/ids.ts";
import { RolloverFailedError } from "../../errors/index.ts";
import { findLatestUpdate, findOpenUpdate, type UpdateRecord } from "../journal-state.ts";
import { describeResult, type UpdateResult, type UpdateRun, type UpdateTarget } from "../run.ts";
import { fingerprintEnvironment, type RequestedDocument } from "./document.ts";

export interface EarlierRun {
  readonly record: UpdateRecord;
  /** Why the CVM went back to its previous compose. Absent if the compose that the run confirmed is in force. */
  readonly bootError: string | undefined;
}

/**
 * Ends an interrupted run in the journal if that run was confirming or had confirmed. The CVM is idle, so its state
 * decides the result. Returns nothing if no such run exists, or if the state of the CVM no longer shows what it wanted.
 */
export async function concludeEarlierRun(run: UpdateRun, target: UpdateTarget): Promise<EarlierRun | undefined> {
  const { cloud, journal, request } = run;
  const { composeHash } = target;
  const record = findLatestUpdate(journal.state, { appId: target.appId, cvm: target.key });
  if (record?.status !== "confirming" && record?.status !== "confirmed") return undefined;

  const { id: update, subject } = record;
  const isNews = subject.composeHash !== subject.previousComposeHash;
  const isInForce = composeHash === subject.composeHash;
  if (record.status === "confirming") {
    // The CVM runs the hash that was being confirmed, so the cloud had received it. Otherwise phase 1 starts again.
    if (!isInForce || !isNews) return undefined;
    await journal.append({ type: "confirmed", update, correlationId: null });
  }
  const bootError = isInForce && isNews ? undefined : await cloud.readBootError(request.cvm);
  const isFallBack = bootError !== undefined && (isInForce || composeHash === subject.previousComposeHash);
  if (isFallBack || !isInForce) {
    await journal.append({ type: "failed", update, reason: bootError ?? `the CVM is at rest on ${composeHash}` });
    return isFallBack ? { record, bootError } : undefined;
  }
  await journal.append({ type: "completed", update });
  return { record, bootError: undefined };
}

/**
 * Returns the earlier run's result if this run requests the same change. Returns nothing if this run requests more.
 *
 * @throws RolloverFailedError
 */
export function finishEarlierRun(
  run: UpdateRun,
  target: UpdateTarget,
  document: RequestedDocument,
  earlier: EarlierRun | undefined,
): UpdateResult | undefined {
  if (earlier === undefined) return undefined;
  const { record, bootError } = earlier;
  const { composeHash, previousComposeHash, environment } = record.subject;
  if (bootError !== undefined) {
    if (document.composeHash !== composeHash) return undefined;
    throw new RolloverFailedError(run.request.cvm, bootError, record.correlationId);
  }
  const wanted = fingerprintEnvironment(run);
  if (!document.isUnchanged || (wanted !== null && wanted !== environment)) return undefined;
  return describeResult(run, {
    outcome: composeHash === previousComposeHash ? "environmentReplaced" : "updated",
    target,
    previousComposeHash: previousComposeHash ?? undefined,
    update: record.id,
    isResumed: true,
  });
}

/** How the cloud accepted the update. */
export type Opening =
  | { readonly type: "patched"; readonly composeHash: ComposeHash }
  | { readonly type: "accepted"; readonly composeHash: ComposeHash; readonly correlationId: string };

export interface OpenedUpdate {
  /** Id of the update in the journal. */
  readonly update: string;
  /** Whether an earlier run started the update and did not end it. */
  readonly isReopened: boolean;
}

/** Records what the cloud holds now. If an earlier run left the same update open, the record continues that update. */
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
