import type { FastifyPluginAsync, FastifyReply } from "fastify";
import { commitUpdateRequestSchema } from "../../cloud/protocol.ts";
import { ApiError, InvalidRequestError } from "../errors.ts";
import { commitPagePath } from "../links.ts";
import { readUpdateCommit, requireToken } from "../wire/commit-answers.ts";
import { renderCommitPage, renderCommitResult } from "../wire/commit-page.ts";
import { type CommitRoutesOptions, describeToken, tokenQuery } from "./commits.ts";
import { cvmParams } from "./schemas.ts";

/** The same for people: a page with a form, behind the address that a prepared update answers with. */
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
    async ({ params, query, body, id }, reply) => {
      const commit = readUpdateCommit(commitUpdateRequestSchema.nullish().parse(body) ?? {}, query.token, id);
      const { correlationId } = await prepared.commit(params.cvm_id, commit);
      return sendPage(reply, 202, renderCommitResult(`The CVM is being updated, operation ${correlationId}.`));
    },
  );
};

/**
 * The address holds the token, so no other site may learn it and no cache keep it. No page may show this one in a frame
 * to have a person press its button. `same-origin`, as with `no-referrer` browsers send the form with `Origin: null`.
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
