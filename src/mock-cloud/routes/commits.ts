import type { FastifyPluginAsync, FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type CommitTokenInfo,
  commitInstanceRequestSchema,
  commitTokenInfoSchema,
  commitUpdateRequestSchema,
  commitUpdateSchema,
  errorBodySchema,
  preparedInstanceSchema,
  vmSchema,
} from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import { renderCommitPage, renderCommitResult, toCommitTokenInfo } from "../http/commit-answers.ts";
import { commitPagePath } from "../http/links.ts";
import { parseChangeContext, parseTokenCommit, requireToken } from "../http/requests.ts";
import {
  appParams,
  cvmParams,
  mutationRefusals,
  replaceHeaders,
  twoPhaseRefusals,
  versionHeaders,
} from "../http/schemas.ts";
import { toPreparedInstance } from "../http/update-answers.ts";
import { findCvm } from "../services/find.ts";
import type { Instances } from "../services/instances.ts";
import type { KmsRuntime } from "../services/kms.ts";
import { tryOnchainStatus } from "../services/onchain-policy.ts";
import type { PreparedUpdates } from "../services/prepared-updates.ts";
import type { Store } from "../store/store.ts";
import type { VmAnswer } from "./cvms.ts";
import { describeOutcome } from "./submit-change.ts";

export interface CommitRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly prepared: PreparedUpdates;
}

const { 401: _, 465: __, ...commitRefusals } = twoPhaseRefusals;
export const tokenQuery = z.object({ token: z.string().optional() });

/** Prepared updates. The token is the credential, so people outside the workspace need no API key. */
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
        summary: "The update or instance of a commit token",
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
        summary: "Apply a prepared update, once",
        params: cvmParams,
        headers: replaceHeaders,
        querystring: tokenQuery,
        body: commitUpdateRequestSchema.nullish(),
        response: { ...commitRefusals, 200: commitUpdateSchema },
      },
    },
    async (request) => {
      const { params, query, body } = request;
      const commit = parseTokenCommit(body ?? {}, query.token);
      const { cvm, ...outcome } = await prepared.commit(params.cvm_id, commit, parseChangeContext(request));
      return { ...describeOutcome(outcome, request.id), vm_uuid: cvm.vmUuid, status: "in_progress" };
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

export interface CommitInstanceRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly instances: Instances;
  readonly vmAnswer: VmAnswer;
}

const { 401: _unauthorized, ...publicRefusals } = { ...mutationRefusals, 466: errorBodySchema };

/** Reads and commits prepared instances. The commit token is the credential, so the API key is optional. */
export const commitInstanceRoutes: FastifyPluginAsyncZod<CommitInstanceRoutesOptions> = async (app, options) => {
  const { store, clock, instances, vmAnswer } = options;
  const tags = ["instances"];
  const security: [] = [];

  app.post(
    "/cvms/:cvm_id/commit-replica",
    {
      schema: {
        tags,
        security,
        summary: "Create a prepared replica",
        params: cvmParams,
        headers: versionHeaders,
        querystring: z.object({ token: z.string().optional() }),
        body: commitInstanceRequestSchema.nullish(),
        response: { ...publicRefusals, 200: vmSchema, 467: errorBodySchema, 468: errorBodySchema },
      },
    },
    async ({ params, query, body, id, apiVersion }) => {
      const commit = parseTokenCommit(body ?? {}, query.token);
      const { workspaceId } = instances.find(commit.token);
      const { appId } = findCvm(store.cvms, workspaceId, params.cvm_id);
      return vmAnswer(await instances.commit(workspaceId, appId, commit, id), apiVersion);
    },
  );

  for (const [path, params] of [
    ["/cvms/:cvm_id/commit-replica", cvmParams],
    ["/apps/:app_id/instances", appParams],
  ] as const) {
    app.get(
      path,
      {
        schema: {
          tags,
          security,
          summary: "A page that shows the update or instance of a commit token",
          params,
          querystring: z.object({ token: z.string() }),
          response: { ...publicRefusals, 200: preparedInstanceSchema },
        },
      },
      async ({ query }) => {
        const prepared = instances.find(query.token);
        const node = store.platform.findNode(prepared.nodeId);
        if (!node) throw new Error(`Node ${prepared.nodeId} is gone.`);
        const vmUuid = prepared.cvmId === null ? undefined : store.cvms.get(prepared.cvmId).vmUuid;
        const onchain = await instances.readStatus(prepared);
        return toPreparedInstance({ prepared, node, onchain, vmUuid, now: clock.now() });
      },
    );
  }
};

/** The same actions as a web page with a form. The answer to a prepared update contains the page's URL. */
export const commitPageRoutes: FastifyPluginAsync<CommitRoutesOptions> = async (pages, options) => {
  const { prepared } = options;
  const pagePath = commitPagePath({ vmUuid: ":cvm_id" });

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
      return sendPage(reply, 200, renderCommitPage(await describeToken(options, params.cvm_id, token), token));
    },
  );

  pages.post<{ Params: { cvm_id: string }; Querystring: { token?: string } }>(
    pagePath,
    { schema: { ...schema, body: commitUpdateRequestSchema.nullish() } },
    async (request, reply) => {
      const { params, query, body } = request;
      const commit = parseTokenCommit(commitUpdateRequestSchema.nullish().parse(body) ?? {}, query.token);
      const outcome = await prepared.commit(params.cvm_id, commit, parseChangeContext(request));
      const { message, correlation_id } = describeOutcome(outcome, request.id);
      return sendPage(reply, 202, renderCommitResult(`${message} Operation ${correlation_id}.`));
    },
  );
};

/**
 * The URL contains the token, so no other site may learn it and no cache may keep it. The page may not be framed,
 * because another page could trick a person into pressing its button. The referrer policy is `same-origin`: with
 * `no-referrer`, browsers send the form with `Origin: null`.
 */
function sendPage(reply: FastifyReply, status: number, html: string) {
  return reply
    .code(status)
    .headers({
      "Cache-Control": "no-store",
      "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      "Referrer-Policy": "same-origin",
      "X-Frame-Options": "DENY",
    })
    .type("text/html; charset=utf-8")
    .send(html);
}
