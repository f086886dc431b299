import { caveatOf } from "../../core/generation.ts";
import { poll } from "../../core/retry.ts";
import {
  CloudResponseError,
  CloudUnreachableError,
  HashNotAllowedError,
  isDstackError,
  TransactionNotVerifiedError,
} from "../../errors/index.ts";
import type { Payment, PaymentPort, RegistrationProof, RegistrationRequired } from "../ports.ts";
import type { UpdateRecord } from "../progress.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { advance } from "./earlier-run.ts";
import { waitUntilAtRest } from "./read-cvm.ts";

export interface Registered {
  readonly answer: RegistrationRequired;
  readonly record: UpdateRecord;
  readonly payments: PaymentPort;
  /** If none of them allows the hash, the app allowed it before. */
  readonly paid: readonly Payment[];
}

/**
 * Phase 2: gives the cloud the transaction that allowed the hash, or tells it that the app allows the hash already.
 * Repeats this while the cloud's view of the chain may be behind. Returns the record with the cloud's correlation id.
 *
 * @throws HashExpiredError, TransactionNotVerifiedError, HashNotAllowedError, CloudUnreachableError
 */
export function confirm(
  run: UpdateRun,
  target: UpdateTarget,
  { answer, record, payments, ...registered }: Registered,
): Promise<UpdateRecord> {
  let { paid } = registered;
  return submitUntilAccepted(run, target, {
    answer,
    record: { ...record, payments: paid.map(({ step, value }) => ({ step, value })) },
    submit: () => confirmOnce(run, answer, paid),
    lookAgain: async () => {
      paid = await payments.lookAgain();
    },
  });
}

export interface Submission {
  readonly answer: Pick<RegistrationRequired, "appId" | "composeHash" | "deviceId">;
  readonly record: UpdateRecord;
  /** Asks the cloud to apply the update. Returns the cloud's correlation id. */
  readonly submit: () => Promise<string>;
  /** Finds the transaction again that the cloud could not verify: a reorganisation may have moved or removed it. */
  readonly lookAgain: () => Promise<void>;
}

/** Submits until the cloud accepts. @throws what `submit` and `lookAgain` throw, unless it may pass */
export function submitUntilAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  submission: Submission,
): Promise<UpdateRecord> {
  let attempts = 0;
  return withStep(
    run,
    "confirm",
    () => pollUntilAccepted(run, target, submission, () => void attempts++),
    ({ correlationId }) => ({ correlationId: correlationId ?? undefined, attempts }),
  );
}

async function pollUntilAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  { answer, record, submit, lookAgain }: Submission,
  count: () => void,
): Promise<UpdateRecord> {
  const { settings, request } = run;
  const confirming = advance(run, record, { status: "confirming" });

  let isAnswerLost = false;
  const mayPass = async (error: unknown) => {
    isAnswerLost ||= mayHaveArrived(error);
    if (error instanceof TransactionNotVerifiedError) {
      // If a reorganisation removed the transaction, this sends it again. If not, the cloud's endpoint has not seen it
      // yet.
      await lookAgain().catch((fault: unknown) => {
        if (!isDstackError(fault) || !fault.retryable) throw fault;
      });
      return true;
    }
    if (error instanceof HashNotAllowedError) {
      const { composeHashAllowed, contracts } = await run.chain.readAllowlist(answer);
      // With key epochs, a positive answer here does not mean that the cloud's reading is only late.
      return composeHashAllowed && caveatOf(contracts) === null;
    }
    return isDstackError(error) && error.retryable;
  };
  const { correlationId } = await poll(
    run,
    {
      everyMs: settings.pollCloudMs,
      timeoutMs: settings.timeouts.confirmMs,
      mayPass,
      onTimeout: (_, fault) => fault ?? new CloudUnreachableError("PATCH", `/cvms/${request.cvm}`),
    },
    async () => {
      if (isAnswerLost && (await isInForce(run, target, answer))) return { correlationId: null };
      count();
      return { correlationId: await submit() };
    },
  );
  return advance(run, confirming, { status: "confirmed", correlationId });
}

async function confirmOnce(
  { cloud, request }: UpdateRun,
  { composeHash }: RegistrationRequired,
  paid: readonly Payment[],
): Promise<string> {
  const answer = await cloud.confirm(request.cvm, composeHash, registrationOf(paid));
  if (answer.kind === "accepted") return answer.correlationId;
  // The cloud asks for the registration again, so in its view the contract does not allow the hash yet.
  const { correlationId } = answer;
  throw new HashNotAllowedError({ method: "PATCH", path: `/cvms/${request.cvm}`, status: 465, correlationId });
}

/** What proves to the cloud that the app allows the hash. */
export function registrationOf(paid: readonly Payment[]): RegistrationProof {
  return paid.find(({ step }) => step === "addComposeHash")?.transactionHash ?? "already-registered";
}

/** The cloud may have received the request although no answer arrived. A blind retry would then find a busy CVM. */
function mayHaveArrived(error: unknown): boolean {
  return error instanceof CloudUnreachableError || (error instanceof CloudResponseError && error.status >= 500);
}

async function isInForce(
  run: UpdateRun,
  target: UpdateTarget,
  answer: Pick<RegistrationRequired, "composeHash">,
): Promise<boolean> {
  const { composeHash } = await waitUntilAtRest(run);
  return composeHash === answer.composeHash && target.composeHash !== answer.composeHash;
}
