import { connectUpdate, type UpdateCvmParameters } from "./connect.ts";
import type { PatchAccepted, RegistrationRequired } from "./ports.ts";
import { describeResult, type UpdateResult, type UpdateRun, type UpdateTarget, withFindings } from "./run.ts";
import { confirm, registrationOf } from "./steps/confirm.ts";
import {
  buildDocument,
  checkHash,
  doubtsAbout,
  draftOf,
  encryptEnvironment,
  patch,
  proveDocument,
  type RequestedDocument,
} from "./steps/document.ts";
import { advance, concludeEarlierRun, finishEarlierRun, openUpdate } from "./steps/earlier-run.ts";
import { followRollover } from "./steps/follow-rollover.ts";
import { awaitFinality, pay, planPayments, requirePayer } from "./steps/payments.ts";
import { readCvm } from "./steps/read-cvm.ts";
import { checkRequest } from "./trust.ts";

/**
 * Updates a CVM from start to end: sends the change to the cloud, compares the cloud's hash with the local one, allows
 * the device and the hash on chain, confirms, follows the CVM until it runs the new compose, and waits until the payments
 * are final. If the update is interrupted, call it again with the same ledger: it continues where it stopped and never
 * pays twice.
 *
 * @throws DstackError: each kind of refusal has its own class and names the next step
 *
 * @example
 * import { openLedger, updateCvm } from "dstack-toolkit/update";
 * import { client, cloud, dockerCompose } from "./app.js";
 * using ledger = openLedger("ledger.sqlite");
 * const result = await updateCvm({ cloud, chain: client, ledger, cvm: "my-app", dockerCompose });
 */
export function updateCvm(parameters: UpdateCvmParameters): Promise<UpdateResult> {
  return runUpdate(connectUpdate(parameters));
}

/** `updateCvm` over ports, so that tests can replace the cloud, the chain, the progress and the clock. */
export async function runUpdate(given: UpdateRun): Promise<UpdateResult> {
  const run: UpdateRun = { ...given, request: await checkRequest(given.request) };
  const target = await readCvm(run);
  const earlier = await concludeEarlierRun(run, target);
  const document = await buildDocument(run, target);
  const finished = finishEarlierRun(run, target, document, earlier);
  if (finished !== undefined) return finished;
  if (document.isUnchanged && run.request.environment === undefined) {
    return describeResult(run, { outcome: "unchanged", target, isResumed: false });
  }
  const documentProof = document.isUnchanged ? undefined : await proveDocument(run, target, document);
  if (!document.isUnchanged) await requirePayer(run, target, document);
  const encrypted = await encryptEnvironment(run, target);
  const answer = await patch(run, target, draftOf(run, document, encrypted?.payload));
  const findings = {
    keyProof: encrypted?.proof,
    ...{ droppedVariables: document.droppedVariables, unsetNames: document.unsetNames },
    ...doubtsAbout(run.request),
  };
  if (answer.kind === "accepted") {
    return withFindings(await followAccepted(run, target, document, answer), { ...findings, documentProof });
  }
  // Also for an unchanged document, because the owner must allow its hash again.
  const proof = documentProof ?? (await proveDocument(run, target, document));
  const result = await registerAndConfirm(run, target, document, answer);
  return withFindings(result, { ...findings, documentProof: proof });
}

/** The app must allow the hash before the cloud continues. What the app allows already is not paid for. */
async function registerAndConfirm(
  run: UpdateRun,
  target: UpdateTarget,
  document: RequestedDocument,
  answer: RegistrationRequired,
): Promise<UpdateResult> {
  const { composeHash } = answer;
  await checkHash(run, document, composeHash);
  const { record, isReopened } = openUpdate(run, target, { composeHash });
  const { appId, key } = target;
  using payments = run.chain.openPayments({ appId, key, composeHash, abandon: run.request.abandonTransaction });
  const planned = await planPayments(run, target, answer, payments);
  const paid = await pay(run, payments, planned);
  const confirmed = await confirm(run, target, { answer, record, payments, paid });
  const { waitForRollover } = run.settings;
  const after = waitForRollover ? await followRollover(run, target, { record: confirmed }) : undefined;
  const final = paid.length === 0 ? [] : await awaitFinality(run, payments);
  if (waitForRollover) advance(run, confirmed, { status: "completed" });
  return describeResult(run, {
    outcome: waitForRollover ? "updated" : "confirmed",
    ...{ target, composeHash, payments: final, status: after?.status, registration: registrationOf(final) },
    correlationId: confirmed.correlationId ?? undefined,
    isResumed: isReopened || paid.some(({ isFromRecord }) => isFromRecord),
  });
}

/** An update without a payment: the KMS keeps its policy off chain, or the hash does not change. */
async function followAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  document: RequestedDocument,
  { correlationId }: PatchAccepted,
): Promise<UpdateResult> {
  const expected = document.composeHash;
  const { record } = openUpdate(run, target, { composeHash: expected, correlationId });
  if (!run.settings.waitForRollover) {
    return describeResult(run, {
      outcome: "confirmed",
      target,
      composeHash: expected,
      correlationId,
      isResumed: false,
    });
  }
  const { composeHash = expected, status } = await followRollover(run, target, { record, document });
  advance(run, record, { status: "completed" });
  const outcome = document.isUnchanged ? "environmentReplaced" : "updated";
  return describeResult(run, { outcome, target, composeHash, correlationId, status, isResumed: false });
}
