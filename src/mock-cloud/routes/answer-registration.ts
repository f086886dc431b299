import type { FastifyRequest } from "fastify";
import { apiBasePath, type HashRegistrationBody } from "../../cloud/protocol.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import { tryOnchainStatus } from "../services/try-onchain-status.ts";
import type { RegistrationRequired } from "../services/updates.ts";
import type { Cvm } from "../store/cvms.ts";
import type { Store } from "../store/store.ts";
import { toHashRegistrationBody } from "../wire/update-answers.ts";

/** The 465 of an update: what to register and, for a prepared one, how others commit it. */
export async function answerRegistration(
  { store, kmsRuntime }: { readonly store: Store; readonly kmsRuntime: KmsRuntime },
  request: Pick<FastifyRequest, "id" | "protocol" | "host">,
  cvm: Cvm,
  { composeHash, commitToken: token }: RegistrationRequired,
): Promise<HashRegistrationBody> {
  const place = store.platform.nextPlaceOf(cvm);
  const { appId } = cvm;
  const body = { ...place, composeHash, appId, requestId: request.id };
  if (token === undefined) return toHashRegistrationBody(body);
  const onchain = await tryOnchainStatus(kmsRuntime, place.kms, cvm, { composeHash, deviceId: place.node.deviceId });
  const origin = `${request.protocol}://${request.host}`;
  const pageUrl = `${origin}${commitPagePath(cvm)}?token=${token}`;
  const apiUrl = `${origin}${apiBasePath}/cvms/${cvm.vmUuid}/commit-update?token=${token}`;
  return toHashRegistrationBody({ ...body, commit: { token, pageUrl, apiUrl, onchain } });
}

export function commitPagePath({ vmUuid }: Pick<Cvm, "vmUuid">): string {
  return `/commit/${vmUuid}`;
}
