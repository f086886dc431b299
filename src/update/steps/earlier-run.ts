import { RolloverFailedError } from "../../errors/index.ts";
import type { Payment, PaymentIntent } from "../ports.ts";
import type { UpdateRecord } from "../progress.ts";
import { describeResult, type UpdateResult, type UpdateRun, type UpdateTarget } from "../run.ts";
import { fingerprintEnvironment, type RequestedDocument } from "./document.ts";
import { awaitFinality } from "./payments.ts";

export interface EarlierRun {
  readonly record: UpdateRecord;
  readonly payments: readonly Payment[];
  /** Why the CVM went back to its previous compose. Absent if the compose that the run confirmed is in force. */
  readonly bootError: string | undefined;
}

/**
 * Ends an interrupted run on record if that run was confirming or had confirmed. The CVM is idle, so its state decides
 * the result. Returns nothing if no such run exists, or if the state of the CVM no longer shows what it wanted.
 */
export async function concludeEarlierRun(run: UpdateRun, target: UpdateTarget): Promise<EarlierRun | undefined> {
  const { cloud, progress, request } = run;
  const { composeHash } = target;
  const found = progress.read(target);
  if (found?.status !== "confirming" && found?.status !== "confirmed") return undefined;

  const isNews = found.composeHash !== found.previousComposeHash;
  const isInForce = composeHash === found.composeHash;
  // The CVM runs the hash that was being confirmed, so the cloud had received it. Otherwise phase 1 starts again.
  if (found.status === "confirming" && (!isInForce || !isNews)) return undefined;
  const record = found.status === "confirmed" ? found : advance(run, found, { status: "confirmed" });
  const bootError = isInForce && isNews ? undefined : await cloud.readBootError(request.cvm);
  const isFallBack = bootError !== undefined && (isInForce || composeHash === found.previousComposeHash);
  if (isFallBack || !isInForce) {
    advance(run, record, { status: "failed" });
    return isFallBack ? { record, payments: [], bootError } : undefined;
  }
  const payments = await reachStage(run, record);
  advance(run, record, { status: "completed" });
  return { record, payments, bootError: undefined };
}

/** The earlier run may have ended before its transactions were final. */
async function reachStage(run: UpdateRun, record: UpdateRecord): Promise<readonly Payment[]> {
  const { chainId, appId } = record;
  if (chainId === null || record.payments.length === 0) return [];
  using payments = run.chain.openPayments(record);
  const intents: readonly PaymentIntent[] = record.payments.map((payment) => ({ ...payment, chainId, appId }));
  return await awaitFinality(run, payments, intents);
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
  const { record, payments, bootError } = earlier;
  const { composeHash, previousComposeHash, environment } = record;
  const correlationId = record.correlationId ?? undefined;
  if (bootError !== undefined) {
    if (document.composeHash !== composeHash) return undefined;
    throw new RolloverFailedError(run.request.cvm, bootError, correlationId);
  }
  const wanted = fingerprintEnvironment(run);
  if (!document.isUnchanged || (wanted !== null && wanted !== environment)) return undefined;
  return describeResult(run, {
    outcome: composeHash === previousComposeHash ? "environmentReplaced" : "updated",
    target,
    previousComposeHash: previousComposeHash ?? undefined,
    correlationId,
    payments,
    isResumed: true,
  });
}

export interface OpenedUpdate {
  readonly record: UpdateRecord;
  /** Whether an earlier run started the update and did not end it. */
  readonly isReopened: boolean;
}

/**
 * Records that the cloud holds an update, or, with the cloud's correlation id, that it has accepted one that needs no
 * payment.
 */
export function openUpdate(
  run: UpdateRun,
  target: UpdateTarget,
  accepted: Pick<UpdateRecord, "composeHash"> & Partial<Pick<UpdateRecord, "environment" | "correlationId">>,
): OpenedUpdate {
  const { progress } = run;
  const { composeHash, environment = fingerprintEnvironment(run), correlationId = null } = accepted;
  const { appId, key, chainId = null } = target;
  const earlier = progress.read(target);
  const isOpen = earlier !== undefined && earlier.status !== "completed" && earlier.status !== "failed";
  const record: UpdateRecord = {
    status: correlationId === null ? "patched" : "confirmed",
    ...{ appId, key, chainId, composeHash, correlationId },
    previousComposeHash: target.composeHash ?? null,
    environment,
    payments: [],
  };
  progress.write(record);
  return { record, isReopened: isOpen && earlier.composeHash === composeHash && earlier.chainId === chainId };
}

/** Records the next step of an update. */
export function advance(
  { progress }: UpdateRun,
  record: UpdateRecord,
  news: Pick<UpdateRecord, "status"> & Partial<Pick<UpdateRecord, "correlationId" | "payments">>,
): UpdateRecord {
  const next = { ...record, ...news };
  progress.write(next);
  return next;
}
