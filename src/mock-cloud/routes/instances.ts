import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  createAppInstanceRequestSchema,
  cvmInfo20260121Schema,
  errorBodySchema,
  instanceRegistrationBodySchema,
  isAtLeast,
  replicateCvmRequestSchema,
  vmSchema,
} from "../../cloud/protocol.ts";
import { cvmNotFound, unauthorized } from "../errors.ts";
import { toCvmInfo20260121 } from "../http/cvm-answers.ts";
import type { Links } from "../http/links.ts";
import { parseInstanceCommit, parseInstanceRequest, parseReplicaRequest } from "../http/provision-requests.ts";
import { appParams, cvmParams, mutationRefusals, prepareHeaders } from "../http/schemas.ts";
import { type RegistrationOutcome, toInstanceRegistrationBody } from "../http/update-answers.ts";
import { findAppCvms, findCvm, viewCvm } from "../services/find.ts";
import type { InstanceOutcome, Instances } from "../services/instances.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Store } from "../store/store.ts";
import type { Principal } from "../store/workspaces.ts";
import { namedCvm, type VmAnswer } from "./cvms.ts";

export interface InstanceRoutesOptions {
  readonly store: Store;
  readonly kmsRuntime: KmsRuntime;
  readonly instances: Instances;
  readonly vmAnswer: VmAnswer;
  readonly links: Links;
}

const commitRefusals = { ...mutationRefusals, 466: errorBodySchema, 467: errorBodySchema, 468: errorBodySchema };
const createRefusals = { ...commitRefusals, 465: instanceRegistrationBodySchema };
const tokenQuery = z.object({ token: z.string().optional() });

/** Replicas and new instances of existing apps. */
export const instanceRoutes: FastifyPluginAsyncZod<InstanceRoutesOptions> = async (app, options) => {
  const { store, kmsRuntime, instances, vmAnswer, links } = options;
  const tags = ["instances"];

  const registrationAnswer = (outcome: RegistrationOutcome, request: { readonly id: string }, commitPath: string) =>
    toInstanceRegistrationBody(outcome, {
      commitUrl: links.api(commitPath),
      localRpcUrl: kmsRuntime.localRpcUrl(outcome.kms.id),
      requestId: request.id,
    });

  app.post(
    "/cvms/:cvm_id/replicas",
    {
      schema: {
        tags,
        summary: "Add a copy of this CVM",
        params: cvmParams,
        headers: prepareHeaders,
        body: replicateCvmRequestSchema.nullish(),
        response: { ...createRefusals, 200: vmSchema },
      },
    },
    async (request, reply) => {
      const source = namedCvm(store, request);
      const outcome = await instances.replicate(source, parseReplicaRequest(request.body ?? {}, request));
      if (outcome.kind === "created") return vmAnswer(outcome.cvm, request.apiVersion);
      const path = `/cvms/${source.vmUuid}/commit-replica`;
      return reply.code(465).send(registrationAnswer(outcome, request, path));
    },
  );

  app.post(
    "/apps/:app_id/cvms/:cvm_id/replicas",
    {
      schema: {
        tags,
        summary: "Add a copy of this CVM of the app",
        params: appParams.extend(cvmParams.shape),
        headers: prepareHeaders,
        body: replicateCvmRequestSchema.nullish(),
        response: { ...createRefusals, 200: vmSchema },
      },
    },
    async (request, reply) => {
      const { app_id, cvm_id } = request.params;
      const { id: workspaceId } = request.principal.workspace;
      const source = findCvm(store.cvms, workspaceId, cvm_id);
      const ofApp = findAppCvms(store.cvms, workspaceId, app_id);
      if (!ofApp.some(({ id }) => id === source.id)) throw cvmNotFound(cvm_id);
      const outcome = await instances.replicate(source, parseReplicaRequest(request.body ?? {}, request));
      if (outcome.kind === "created") return vmAnswer(outcome.cvm, request.apiVersion);
      const path = `/cvms/${source.vmUuid}/commit-replica`;
      return reply.code(465).send(registrationAnswer(outcome, request, path));
    },
  );

  app.post(
    "/apps/:app_id/instances",
    {
      schema: {
        tags,
        summary: "Add a CVM to an app or, with a token, create the prepared one",
        description: "With a token in the body or the URL, no API key is needed, because the token is the credential.",
        security: [{ apiKey: [] }, {}],
        params: appParams,
        headers: prepareHeaders,
        querystring: tokenQuery,
        body: createAppInstanceRequestSchema.nullish(),
        response: { ...createRefusals, 200: z.union([cvmInfo20260121Schema, vmSchema]) },
      },
      config: { isTokenEnough: true },
    },
    async (request, reply) => {
      const { query, params } = request;
      const body = request.body ?? {};
      const commit = body.token || query.token ? parseInstanceCommit(body, query.token, request.id) : undefined;
      const workspaceId = commit ? instances.find(commit.token).workspaceId : requirePrincipal(request).workspace.id;
      const ofApp = findAppCvms(store.cvms, workspaceId, params.app_id);
      const [{ appId }] = ofApp;
      const outcome: InstanceOutcome = commit
        ? { kind: "created", cvm: await instances.commit(workspaceId, appId, commit) }
        : await instances.create(ofApp, parseInstanceRequest(body, request));
      if (outcome.kind === "registration-required") {
        return reply.code(465).send(registrationAnswer(outcome, request, `/apps/${appId.slice(2)}/instances`));
      }
      return isAtLeast(request.apiVersion, "2026-05-22")
        ? toCvmInfo20260121(viewCvm(store, kmsRuntime, outcome.cvm))
        : vmAnswer(outcome.cvm, request.apiVersion);
    },
  );
};

/** @throws ApiError 401 */
function requirePrincipal({ principal }: { readonly principal: Principal | undefined }): Principal {
  if (!principal) throw unauthorized();
  return principal;
}
