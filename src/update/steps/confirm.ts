import { caveatOf } from "../../core/generation.ts";
import { poll } from "../../core/retry.ts";
import {
  CloudResponseError,
  CloudUnreachableError,
  HashNotAllowedError,
  isDstackError,
  TransactionNotVerifiedError,
} from "../../errors/index.ts";
import type { Payment, PaymentPort, RegistrationRequired } from "../ports.ts";
import type { UpdateRecord } from "../progress.ts";
import { type UpdateRun, type UpdateTarget, withStep } from "../run.ts";
import { advance } from "./earlier-run.ts";
import { waitUntilAtRest } from "./read-cvm.ts";

export interface Registered {
  readonly answer: RegistrationRequired;
  readonly record: UpdateRecord;
  readonly payments: PaymentPort;
  /** One of them allows the hash. */
  readonly paid: readonly Payment[];
}

/**
 * Phase 2: gives the cloud the transaction it asked for. Repeats this while the cloud's view of the chain may be
 * behind. Returns the record with the cloud's correlation id.
 *
 * @throws HashExpiredError, TransactionNotVerifiedError, HashNotAllowedError, CloudUnreachableError
 */
export function confirm(run: UpdateRun, target: UpdateTarget, registered: Registered): Promise<UpdateRecord> {
  let attempts = 0;
  return withStep(
    run,
    "confirm",
    () => confirmUntilAccepted(run, target, registered, () => void attempts++),
    ({ correlationId }) => ({ correlationId: correlationId ?? undefined, attempts }),
  );
}

async function confirmUntilAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  { answer, record, payments, ...registered }: Registered,
  count: () => void,
): Promise<UpdateRecord> {
  const { settings, request } = run;
  let { paid } = registered;
  const made = paid.map(({ step, value }) => ({ step, value }));
  const confirming = advance(run, record, { status: "confirming", payments: made });

  let isAnswerLost = false;
  const mayPass = async (error: unknown) => {
    isAnswerLost ||= mayHaveArrived(error);
    if (error instanceof TransactionNotVerifiedError) {
      // If a reorganisation removed the transaction, this sends it again. If not, the cloud's endpoint has not seen it
      // yet.
      paid = await payments.lookAgain().catch((fault: unknown) => {
        if (isDstackError(fault) && fault.retryable) return paid;
        throw fault;
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
      return { correlationId: await confirmOnce(run, answer, paid) };
    },
  );
  return advance(run, confirming, { status: "confirmed", correlationId });
}

async function confirmOnce(
  { cloud, request }: UpdateRun,
  { composeHash }: RegistrationRequired,
  paid: readonly Payment[],
): Promise<string> {
  const proof = paid.find(({ step }) => step === "addComposeHash");
  if (proof === undefined) throw new TypeError("The hash of an update is paid for before it is confirmed.");
  const answer = await cloud.confirm(request.cvm, composeHash, proof.transactionHash);
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
