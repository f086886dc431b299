import type { FastifyRequest } from "fastify";
import type { HashRegistrationBody } from "../../cloud/protocol.ts";
import type { Links } from "../links.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import { tryOnchainStatus } from "../services/try-onchain-status.ts";
import type { RegistrationRequired } from "../services/updates.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { toHashRegistrationBody } from "../wire/update-answers.ts";

/** The 465 of an update: what to register and, for a prepared one, how others commit it. */
export async function answerRegistration(
  { store, kmsRuntime, links }: { readonly store: Store; readonly kmsRuntime: KmsRuntime; readonly links: Links },
  request: Pick<FastifyRequest, "id">,
  cvm: Cvm,
  { composeHash, commitToken: token }: RegistrationRequired,
): Promise<HashRegistrationBody> {
  const place = store.platform.nextPlaceOf(cvm);
  const { appId } = cvm;
  const body = { ...place, composeHash, appId, requestId: request.id };
  if (token === undefined) return toHashRegistrationBody(body);
  const onchain = await tryOnchainStatus(kmsRuntime, place.kms, cvm, { composeHash, deviceId: place.node.deviceId });
  const pageUrl = `${links.commitPage(cvm)}?token=${token}`;
  const apiUrl = links.api(`/cvms/${cvm.vmUuid}/commit-update?token=${token}`);
  return toHashRegistrationBody({ ...body, commit: { token, pageUrl, apiUrl, onchain } });
}
