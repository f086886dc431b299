import { caveatOf } from "../../core/generation.ts";
import type { TransactionHash } from "../../core/ids.ts";
import { poll } from "../../core/retry.ts";
import {
  CloudResponseError,
  CloudUnreachableError,
  HashNotAllowedError,
  isDstackError,
  TransactionNotVerifiedError,
} from "../../errors/index.ts";
import type { RegistrationRequired } from "../ports.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { resumePayment, type UpdatePayment } from "./pay.ts";
import { waitUntilAtRest } from "./read-cvm.ts";

export interface Registered {
  readonly answer: RegistrationRequired;
  /** The payment that allows the hash; `transactionHash` is the transaction that proves it. */
  readonly payment: UpdatePayment;
  readonly transactionHash: TransactionHash;
  /** The `head` argument of `pay`. */
  readonly head: bigint;
}

/**
 * Phase 2: gives the cloud the transaction it asked for. Repeats this while the cloud's view of the chain may be
 * behind. Returns the cloud's correlation id.
 *
 * @throws HashExpiredError, TransactionNotVerifiedError, HashNotAllowedError, CloudUnreachableError
 */
export function confirm(run: UpdateRun, target: UpdateTarget, registered: Registered): Promise<string | undefined> {
  let attempts = 0;
  return withStep(
    run,
    "confirm",
    () =>
      confirmUntilAccepted(run, target, registered, () => {
        attempts++;
        return confirmOnce(run, registered);
      }),
    (correlationId) => ({ correlationId, attempts }),
  );
}

async function confirmUntilAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  { answer, payment, transactionHash, head }: Registered,
  attempt: () => Promise<string>,
): Promise<string | undefined> {
  const { journal, settings, request } = run;
  const { update } = payment;
  await journal.append({ type: "confirming", update, transactionHash });

  let isAnswerLost = false;
  const mayPass = async (error: unknown) => {
    isAnswerLost ||= mayHaveArrived(error);
    if (error instanceof TransactionNotVerifiedError) {
      // If a reorganisation removed the transaction, this sends it again. If not, the cloud's endpoint has not seen it
      // yet.
      await resumePayment(run, payment, head);
      return true;
    }
    if (error instanceof HashNotAllowedError) {
      const { composeHashAllowed, contracts } = await run.chain.readAllowlist(answer);
      // With key epochs, a positive answer here does not mean that the cloud's reading is only late.
      return composeHashAllowed && caveatOf(contracts) === null;
    }
    return isDstackError(error) && error.retryable;
  };
  const confirmed = await poll(
    run,
    {
      everyMs: settings.pollCloudMs,
      timeoutMs: settings.timeouts.confirmMs,
      mayPass,
      onTimeout: (_, fault) => fault ?? new CloudUnreachableError("PATCH", `/cvms/${request.cvm}`),
    },
    async () => {
      if (isAnswerLost && (await isInForce(run, target, answer))) return { correlationId: undefined };
      return { correlationId: await attempt() };
    },
  );
  await journal.append({ type: "confirmed", update, correlationId: confirmed.correlationId ?? null });
  return confirmed.correlationId;
}

async function confirmOnce({ cloud, request }: UpdateRun, registered: Registered): Promise<string> {
  const { composeHash } = registered.answer;
  const answer = await cloud.confirm(request.cvm, composeHash, registered.transactionHash);
  if (answer.kind === "accepted") return answer.correlationId;
  // The cloud asks for the registration again, so in its view the contract does not allow the hash yet.
  const { correlationId } = answer;
  throw new HashNotAllowedError({ method: "PATCH", path: `/cvms/${request.cvm}`, status: 465, correlationId });
}

/** The cloud may have received the request although no answer arrived. A blind retry would then find a busy CVM. */
function mayHaveArrived(error: unknown): boolean {
  return error instanceof CloudUnreachableError || (error instanceof CloudResponseError && error.status >= 500);
}

async function isInForce(run: UpdateRun, target: UpdateTarget, answer: RegistrationRequired): Promise<boolean> {
  const { composeHash } = await waitUntilAtRest(run);
  return composeHash === answer.composeHash && target.composeHash !== answer.composeHash;
}
