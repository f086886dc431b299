import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type CommitTokenInfo,
  commitTokenInfoSchema,
  commitUpdateRequestSchema,
  commitUpdateSchema,
} from "../../cloud/protocol.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { PreparedUpdates } from "../services/prepared-updates.ts";
import { tryOnchainStatus } from "../services/try-onchain-status.ts";
import type { Store } from "../store/store.ts";
import { readUpdateCommit, requireToken, toCommitTokenInfo } from "../wire/commit-answers.ts";
import { cvmParams, twoPhaseRefusals } from "./schemas.ts";

export interface CommitRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly prepared: PreparedUpdates;
}

const { 401: _, 465: __, ...commitRefusals } = twoPhaseRefusals;
export const tokenQuery = z.object({ token: z.string().optional() });

/** Prepared updates. No API key is asked for: the token is the credential, as for people outside the workspace. */
export const commitRoutes: FastifyPluginAsyncZod<CommitRoutesOptions> = async (app, options) => {
  const { prepared } = options;
  const tags = ["updates"];
  const security: [] = [];
  const path = "/cvms/:cvm_id/commit-update";

  app.get(
    path,
    {
      schema: {
        tags,
        security,
        summary: "What a commit token stands for",
        params: cvmParams,
        querystring: tokenQuery,
        response: { ...commitRefusals, 200: commitTokenInfoSchema },
      },
    },
    async ({ params, query }) => describeToken(options, params.cvm_id, requireToken(query.token)),
  );

  app.post(
    path,
    {
      schema: {
        tags,
        security,
        summary: "Put a prepared update in force, once",
        params: cvmParams,
        querystring: tokenQuery,
        body: commitUpdateRequestSchema.nullish(),
        response: { ...commitRefusals, 200: commitUpdateSchema },
      },
    },
    async ({ params, query, body, id }) => {
      const commit = readUpdateCommit(body ?? {}, query.token, id);
      const { cvm, correlationId } = await prepared.commit(params.cvm_id, commit);
      return {
        vm_uuid: cvm.vmUuid,
        correlation_id: correlationId,
        status: "in_progress",
        message: "The CVM is being updated.",
      };
    },
  );
};

/** @throws ApiError 404, 466 */
export async function describeToken(
  { store, kmsRuntime, prepared }: CommitRoutesOptions,
  identifier: string,
  token: string,
): Promise<CommitTokenInfo> {
  const found = prepared.find(identifier, token);
  const place = store.platform.nextPlaceOf(found.cvm);
  const { composeHash } = found.pending;
  const { deviceId } = place.node;
  const onchain = await tryOnchainStatus(kmsRuntime, place.kms, found.cvm, { composeHash, deviceId });
  return toCommitTokenInfo(found, place, onchain);
}
