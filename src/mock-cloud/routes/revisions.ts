import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  pendingUpdatePreviewSchema,
  type Revision,
  redeployedRevisionSchema,
  redeployRevisionRequestSchema,
  revisionDetailSchema,
  revisionListSchema,
} from "../../cloud/protocol.ts";
import { parseAppCompose } from "../../core/app-compose.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { type Clock, toIsoTime } from "../clock.ts";
import { ApiError, cvmNotFound, pendingUpdateNotFound } from "../errors.ts";
import { pageQuery, paginate } from "../http/error-answers.ts";
import { parseChangeContext, parseComposeHashField, parseConfirmation } from "../http/requests.ts";
import { appParams, confirmationHeaders, described, refusals, twoPhaseRefusals } from "../http/schemas.ts";
import { toHashRegistrationBody } from "../http/update-answers.ts";
import { findAppCvms, findCvm } from "../services/find.ts";
import { findPendingDocument } from "../services/prepared-updates.ts";
import type { Updates } from "../services/updates.ts";
import type { Cvm, Workload } from "../store/cvms.ts";
import type { Operation } from "../store/operations.ts";
import type { Store } from "../store/store.ts";

export interface RevisionRoutesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly updates: Updates;
}

const revisionParams = appParams.extend({ revision_id: z.string() });

/** The documents that an app's CVMs were asked to run, and the document that a CVM waits to run. */
export const revisionRoutes: FastifyPluginAsyncZod<RevisionRoutesOptions> = async (app, options) => {
  const { store, clock, updates } = options;
  const tags = ["revisions"];

  /** Newest first. Starting or stopping a CVM creates no revision. */
  function listRevisions(workspaceId: string, appId: string) {
    return findAppCvms(store.cvms, workspaceId, appId)
      .flatMap((cvm) => store.operations.ofCvm(cvm.id).map((operation) => ({ cvm, operation })))
      .filter(({ operation: { kind } }) => kind === "create" || kind === "update")
      .sort((one, other) => other.operation.id - one.operation.id);
  }

  /** @throws ApiError 404 */
  function findRevision(workspaceId: string, { app_id, revision_id }: z.infer<typeof revisionParams>) {
    const all = listRevisions(workspaceId, app_id);
    const found = all.find(({ operation }) => revisionId(operation) === revision_id);
    if (!found) throw new ApiError(404, undefined, `The app has no revision "${revision_id}".`);
    return found;
  }

  app.get(
    "/apps/:app_id/revisions",
    {
      schema: {
        tags,
        summary: "Every accepted change of an app's CVMs, newest first",
        params: appParams,
        querystring: pageQuery,
        response: { ...refusals, 200: revisionListSchema },
      },
    },
    async ({ params, principal, query }) => {
      const { items, pages, ...page } = paginate(listRevisions(principal.workspace.id, params.app_id), query);
      return { revisions: items.map(({ cvm, operation }) => toRevision(cvm, operation)), ...page, total_pages: pages };
    },
  );

  app.get(
    "/apps/:app_id/revisions/:revision_id",
    {
      schema: {
        tags,
        summary: "One change with its document and encrypted environment",
        params: revisionParams,
        querystring: z.object({ raw_compose_file: z.enum(["true", "false"]).optional() }),
        response: { ...refusals, 200: revisionDetailSchema },
      },
    },
    async ({ params, principal, query }) => {
      const found = findRevision(principal.workspace.id, params);
      const { composeText, encryptedEnv, settings } = found.operation;
      return {
        ...toRevision(found.cvm, found.operation),
        compose_file: query.raw_compose_file === "true" ? composeText : { ...parseAppCompose(composeText) },
        encrypted_env: encryptedEnv ?? "",
        user_config: settings.userConfig ?? "",
      };
    },
  );

  app.post(
    "/apps/:app_id/revisions/:revision_id/redeploy",
    {
      schema: {
        tags,
        summary: "Make CVMs of the app run the document of a revision; environment and settings stay",
        params: revisionParams,
        headers: confirmationHeaders,
        body: redeployRevisionRequestSchema.nullish(),
        response: { ...twoPhaseRefusals, 202: redeployedRevisionSchema },
      },
    },
    async (request, reply) => {
      const { params, principal, body, id } = request;
      const { operation } = findRevision(principal.workspace.id, params);
      const ofApp = findAppCvms(store.cvms, principal.workspace.id, params.app_id);
      const wanted = body?.vm_uuids?.map((uuid) => {
        const cvm = findCvm(store.cvms, principal.workspace.id, uuid);
        if (cvm.appId !== ofApp[0].appId) throw cvmNotFound(uuid);
        return cvm;
      });
      const result = await updates.redeploy(
        wanted ?? ofApp,
        operation,
        parseConfirmation(request),
        parseChangeContext(request).mayReplace,
      );
      if (result.kind === "registration-required") {
        const { cvm, composeHash } = result;
        const place = store.platform.nextPlaceOf(cvm);
        return reply.code(465).send(toHashRegistrationBody({ ...place, composeHash, appId: cvm.appId, requestId: id }));
      }
      const operations = result.operations.map(({ cvm, operation: { correlationId } }) => ({
        vm_uuid: cvm.vmUuid,
        correlation_id: correlationId,
      }));
      return reply
        .code(202)
        .send(
          operations.length > 0
            ? { message: "The CVMs are being updated.", status: "in_progress" as const, operations }
            : { message: "Nothing to change.", status: "no_change" as const, operations },
        );
    },
  );

  app.get(
    "/apps/:app_id/pending-updates/:vm_uuid/:compose_hash/preview",
    {
      schema: {
        tags,
        summary: "The current document and one that waits for its registration",
        description:
          "Answers while an update of this CVM, or a replica or instance prepared from it, can still be confirmed with " +
          "this compose hash. Otherwise 404: ERR-01-404 if no update waits for the hash, ERR-03-001 if there is no " +
          "such CVM. The vendor publishes this path but not its answer: the field names and ERR-01-404 are ours.",
        params: appParams.extend({
          vm_uuid: described(z.string(), "Any identifier of one of the app's CVMs."),
          compose_hash: described(z.string(), "64 hex digits, with `0x` or without."),
        }),
        response: { ...refusals, 200: pendingUpdatePreviewSchema },
      },
    },
    async ({ params, principal }) => {
      const composeHash = parseComposeHashField(params.compose_hash, ["path", "compose_hash"]);
      const { id: workspaceId } = principal.workspace;
      const [{ appId }] = findAppCvms(store.cvms, workspaceId, params.app_id);
      const cvm = findCvm(store.cvms, workspaceId, params.vm_uuid);
      if (cvm.appId !== appId) throw cvmNotFound(params.vm_uuid);
      const pending = findPendingDocument(store, cvm, composeHash, clock.now());
      if (!pending) throw pendingUpdateNotFound(cvm.name, composeHash);
      return {
        kind: pending.kind,
        app_id: withoutPrefix(cvm.appId),
        vm_uuid: cvm.vmUuid,
        has_commit_token: pending.hasCommitToken,
        current: toDocument(cvm),
        pending: toDocument(pending),
        created_at: toIsoTime(pending.createdAt),
        expires_at: toIsoTime(pending.expiresAt),
      };
    },
  );
};

function revisionId({ id }: Operation): string {
  return `rev_${id}`;
}

function toRevision(cvm: Cvm, operation: Operation): Revision {
  const subject = { app_id: withoutPrefix(cvm.appId), vm_uuid: cvm.vmUuid };
  return {
    ...subject,
    revision_id: revisionId(operation),
    compose_hash: withoutPrefix(operation.composeHash),
    created_at: toIsoTime(operation.startedAt),
    trace_id: operation.correlationId,
    operation_type: operation.kind,
    cvm: { object_type: "cvm", id: cvm.hashid, name: cvm.name, ...subject },
  };
}

function toDocument({ composeHash, composeText }: Pick<Workload, "composeHash" | "composeText">) {
  return { compose_hash: withoutPrefix(composeHash), compose_file: composeText };
}
