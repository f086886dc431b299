import type { FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  apiBasePath,
  commitTokenInfoSchema,
  commitUpdateRequestSchema,
  commitUpdateSchema,
} from "../../cloud/protocol.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import type { KmsRuntime } from "../services/kms-runtime.ts";
import type { PreparedUpdates } from "../services/prepared-updates.ts";
import { tryOnchainStatus } from "../services/try-onchain-status.ts";
import type { Store } from "../store/store.ts";
import { readUpdateCommit, requireToken, toCommitTokenInfo } from "../wire/commit-answers.ts";
import { renderCommitPage, renderCommitResult } from "../wire/commit-page.ts";
import { commitPagePath } from "./answer-registration.ts";
import { cvmParams, twoPhaseRefusals } from "./schemas.ts";

export interface CommitRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly prepared: PreparedUpdates;
}

const { 401: _, 465: __, ...commitRefusals } = twoPhaseRefusals;
const tokenQuery = z.object({ token: z.string().optional() });

/** Prepared updates. No API key is asked for: the token is the credential, as for people outside the workspace. */
export const commitRoutes: FastifyPluginAsyncZod<CommitRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, prepared } = options;
  const tags = ["updates"];
  const security: [] = [];
  const apiPath = `${apiBasePath}/cvms/:cvm_id/commit-update`;
  const pagePath = commitPagePath({ vmUuid: ":cvm_id" });

  async function inform(identifier: string, token: string) {
    const found = prepared.find(identifier, token);
    const place = store.platform.nextPlaceOf(found.cvm);
    const { appId } = found.cvm;
    const { composeHash } = found.pending;
    const { deviceId } = place.node;
    return toCommitTokenInfo(
      found,
      place,
      await tryOnchainStatus(kmsRuntime, place.kms, { appId, composeHash, deviceId }),
    );
  }

  app.get(
    apiPath,
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
    async ({ params, query }) => inform(params.cvm_id, requireToken(query.token)),
  );

  app.post(
    apiPath,
    {
      schema: {
        tags,
        security,
        summary: "Put a prepared update in force, once",
        params: cvmParams,
        querystring: tokenQuery,
        body: commitUpdateRequestSchema.nullish(),
        response: { ...commitRefusals, 202: commitUpdateSchema },
      },
    },
    async ({ params, query, body, id }, reply) => {
      const commit = readUpdateCommit(body ?? {}, query.token, id);
      const { cvm, correlationId } = await prepared.commit(params.cvm_id, commit);
      return reply.code(202).send({
        vm_uuid: cvm.vmUuid,
        correlation_id: correlationId,
        status: "in_progress",
        message: "The CVM is being updated.",
      });
    },
  );

  await app.register(async (pages) => {
    pages.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(body.toString()))),
    );
    pages.setErrorHandler((error, _request, reply) => {
      if (error instanceof ApiError) return sendPage(reply, error.status, renderCommitResult(error.message));
      if (error instanceof InvalidRequestError) return sendPage(reply, 422, renderCommitResult(error.message));
      throw error;
    });
    const schema = { hide: true, params: cvmParams, querystring: tokenQuery };

    pages.get<{ Params: { cvm_id: string }; Querystring: { token?: string } }>(
      pagePath,
      { schema },
      async ({ params, query }, reply) => {
        const token = requireToken(query.token);
        return sendPage(reply, 200, renderCommitPage(await inform(params.cvm_id, token), token));
      },
    );

    pages.post<{ Params: { cvm_id: string }; Querystring: { token?: string } }>(
      pagePath,
      { schema: { ...schema, body: commitUpdateRequestSchema.nullish() } },
      async ({ params, query, body, id }, reply) => {
        const commit = readUpdateCommit(commitUpdateRequestSchema.nullish().parse(body) ?? {}, query.token, id);
        const { correlationId } = await prepared.commit(params.cvm_id, commit);
        return sendPage(reply, 202, renderCommitResult(`The CVM is being updated, operation ${correlationId}.`));
      },
    );
  });
};

/** The address holds the token, so no other site may learn it and no cache keep it. */
function sendPage(reply: FastifyReply, status: number, html: string) {
  return reply
    .code(status)
    .headers({
      "Cache-Control": "no-store",
      "Content-Security-Policy": "default-src 'none'; form-action 'self'",
      "Referrer-Policy": "no-referrer",
    })
    .type("text/html; charset=utf-8")
    .send(html);
}
