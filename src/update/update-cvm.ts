import { connectUpdate, type UpdateCvmParameters } from "./connect.ts";
import type { PatchAccepted, RegistrationRequired } from "./ports.ts";
import { describeResult, type UpdateResult, type UpdateRun, type UpdateTarget, withFindings } from "./run.ts";
import { confirm } from "./steps/confirm.ts";
import {
  buildDocument,
  checkHash,
  emptyNamesOf,
  encryptEnvironment,
  patch,
  proveDocument,
  type RequestedDocument,
} from "./steps/document.ts";
import { concludeEarlierRun, finishEarlierRun, openUpdate } from "./steps/earlier-run.ts";
import { followRollover } from "./steps/follow-rollover.ts";
import { pay } from "./steps/pay.ts";
import { planPayments } from "./steps/plan-payments.ts";
import { readCvm } from "./steps/read-cvm.ts";
import { checkRequest } from "./trust.ts";

/**
 * Updates a CVM from start to end: sends the change to the cloud, compares the cloud's hash with the local one, allows
 * the device and the hash on chain, confirms, and follows the CVM until it runs the new compose. If the update is
 * interrupted, call it again with the same journal: it continues where it stopped and never pays twice.
 *
 * @throws DstackError: each kind of refusal has its own class and names the next step
 *
 * @example
 * import { openJournal, updateCvm } from "dstack-toolkit/update";
 * import { client, cloud, dockerCompose } from "./app.js";
 * await using journal = await openJournal("journal.jsonl");
 * const result = await updateCvm({ cloud, chain: client, journal, cvm: "my-app", dockerCompose });
 */
export function updateCvm(parameters: UpdateCvmParameters): Promise<UpdateResult> {
  return runUpdate(connectUpdate(parameters));
}

/** `updateCvm` over ports, so that tests can replace the cloud, the chain, the journal and the clock. */
export async function runUpdate(given: UpdateRun): Promise<UpdateResult> {
  const run: UpdateRun = { ...given, request: checkRequest(given.request) };
  const target = await readCvm(run);
  const earlier = await concludeEarlierRun(run, target);
  const document = await buildDocument(run, target);
  const finished = finishEarlierRun(run, target, document, earlier);
  if (finished !== undefined) return finished;
  if (document.isUnchanged && run.request.environment === undefined) {
    return describeResult(run, { outcome: "unchanged", target, isResumed: false });
  }
  const documentProof = document.isUnchanged ? undefined : await proveDocument(run, target, document);
  const encrypted = await encryptEnvironment(run, target);
  const answer = await patch(run, target, encrypted?.payload);
  const findings = {
    keyProof: encrypted?.proof,
    droppedVariables: document.droppedVariables,
    emptyNames: emptyNamesOf(run.request),
  };
  if (answer.kind === "accepted") {
    return withFindings(await followAccepted(run, target, document, answer), { ...findings, documentProof });
  }
  // Also for an unchanged document, because the owner must allow its hash again.
  const proof = documentProof ?? (await proveDocument(run, target, document));
  const result = await registerAndConfirm(run, target, document, answer);
  return withFindings(result, { ...findings, documentProof: proof });
}

/** An update that must be paid for: its hash must be allowed on chain before the cloud continues. */
async function registerAndConfirm(
  run: UpdateRun,
  target: UpdateTarget,
  document: RequestedDocument,
  answer: RegistrationRequired,
): Promise<UpdateResult> {
  const { composeHash } = answer;
  await checkHash(run, document, composeHash);
  const { update, isReopened } = await openUpdate(run, target, { type: "patched", composeHash });
  const { addDevice, addComposeHash, head } = await planPayments(run, target, answer, update);
  const device = addDevice && (await pay(run, addDevice, head));
  const proof = await pay(run, addComposeHash, head);
  const correlationId = await confirm(run, target, { answer, payment: addComposeHash, head, ...proof });
  const isResumed = isReopened || proof.isFromRecord || device?.isFromRecord === true;
  if (!run.settings.waitForRollover) {
    return describeResult(run, { outcome: "confirmed", target, composeHash, update, isResumed });
  }
  await followRollover(run, target, { update, composeHash, correlationId });
  await run.journal.append({ type: "completed", update });
  return describeResult(run, { outcome: "updated", target, composeHash, update, isResumed });
}

/** An update without a payment: the KMS keeps its policy off chain, or the hash does not change. */
async function followAccepted(
  run: UpdateRun,
  target: UpdateTarget,
  document: RequestedDocument,
  { correlationId }: PatchAccepted,
): Promise<UpdateResult> {
  const expected = document.composeHash;
  const { update } = await openUpdate(run, target, { type: "accepted", composeHash: expected, correlationId });
  if (!run.settings.waitForRollover) {
    return describeResult(run, { outcome: "confirmed", target, composeHash: expected, update, isResumed: false });
  }
  const { composeHash = expected } = await followRollover(run, target, {
    update,
    composeHash: expected,
    correlationId,
    document,
  });
  await run.journal.append({ type: "completed", update });
  const outcome = document.isUnchanged ? "environmentReplaced" : "updated";
  return describeResult(run, { outcome, target, composeHash, update, isResumed: false });
}
