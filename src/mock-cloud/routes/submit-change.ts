import type { FastifyRequest } from "fastify";
import type { HashRegistrationBody } from "../../cloud/protocol.ts";
import type { Links } from "../http/links.ts";
import { parseChangeContext, parseConfirmation, parsePrepareOnly } from "../http/requests.ts";
import { toHashRegistrationBody } from "../http/update-answers.ts";
import type { KmsRuntime } from "../services/kms.ts";
import { tryOnchainStatus } from "../services/onchain-policy.ts";
import type { UpdateChange } from "../services/plan-update.ts";
import type { PendingRegistration, UpdateOutcome, Updates } from "../services/updates.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { type CvmRequest, namedCvm } from "./cvms.ts";

export interface SubmitChangeOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly updates: Updates;
  readonly links: Links;
}

/** What became of a change: the body of a 465, or the outcome for the CVM. */
export type SubmittedChange =
  | { readonly registration: HashRegistrationBody; readonly cvm: Cvm; readonly outcome?: undefined }
  | {
      readonly registration?: undefined;
      readonly cvm: Cvm;
      readonly outcome: Exclude<UpdateOutcome, PendingRegistration>;
    };

/** Returns how a route that changes a document does it: phase 2 if its request confirms a hash, else phase 1. */
export function createSubmitChange(options: SubmitChangeOptions) {
  return async (
    request: CvmRequest & Pick<FastifyRequest, "id" | "headers" | "body">,
    /** @throws InvalidRequestError */
    parseChange: () => UpdateChange | undefined,
  ): Promise<SubmittedChange> => {
    const cvm = namedCvm(options.store, request);
    const submission = {
      change: parseChange(),
      confirmation: parseConfirmation(request),
      isPrepareOnly: parsePrepareOnly(request.headers),
    };
    const outcome = await options.updates.submit(cvm, submission, parseChangeContext(request));
    if (outcome.kind !== "registration-required") return { cvm, outcome };
    return { cvm, registration: await answerRegistration(options, request.id, cvm, outcome) };
  };
}

/** Message and correlation id of the answer to a change that needs no registration first. */
export function describeOutcome(outcome: UpdateOutcome, requestId: string) {
  if (outcome.kind !== "accepted") return { message: "Nothing to change.", correlation_id: requestId };
  const { correlationId, awaitedTag } = outcome;
  const message =
    awaitedTag === null
      ? "The CVM is being updated."
      : `The CVM will be updated when the registration of the compose hash is ${awaitedTag}.`;
  return { message, correlation_id: correlationId };
}

/** The 465 of an update: the hash to register and, for a prepared update, how another person commits it. */
async function answerRegistration(
  { store, kmsRuntime, links }: SubmitChangeOptions,
  requestId: string,
  cvm: Cvm,
  { composeHash, commitToken: token }: PendingRegistration,
): Promise<HashRegistrationBody> {
  const place = store.platform.nextPlaceOf(cvm);
  const { appId } = cvm;
  const body = { ...place, composeHash, appId, requestId };
  if (token === undefined) return toHashRegistrationBody(body);
  const onchain = await tryOnchainStatus(kmsRuntime, place.kms, cvm, { composeHash, deviceId: place.node.deviceId });
  const pageUrl = `${links.commitPage(cvm)}?token=${token}`;
  const apiUrl = links.api(`/cvms/${cvm.vmUuid}/commit-update?token=${token}`);
  return toHashRegistrationBody({ ...body, commit: { token, pageUrl, apiUrl, onchain } });
}
